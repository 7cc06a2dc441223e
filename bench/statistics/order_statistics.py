"""Order statistics of all differences of two samples, without forming the differences.

Both samples are sorted; how many of the n * m differences lie below a value then takes n searches.
Halving the range of values leaves few candidates, and only these are formed. What comes back is
what sorting all differences would give, to the last bit.

Source: the idea is that of D. B. Johnson and T. Mizoguchi, SIAM Journal on Computing 7 (1978)
147-153, selecting from X + Y; the halving is of values instead of ranks.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

_ROUNDINGS = 8  # more units in the last place than a difference and a search are off together


def of_differences(base: Array, head: Array, ranks: Sequence[int]) -> list[float]:
    """The differences head - base, [m] and [n], whose ranks among all are ``ranks``, from 0 on."""
    found = _Differences.of(base, head)
    return [found.ranked(rank) for rank in ranks]


def of_means(values: Array, ranks: Sequence[int]) -> list[float]:
    """The same of all means of two ``values`` [n], each also with itself: n (n + 1) / 2 of them."""
    found = _Differences.of(-values, values, symmetric=True)
    return [found.ranked(2 * rank) / 2 for rank in ranks]


@dataclass(frozen=True)
class _Differences:
    """Distinct values in ascending order, with how often each is there.

    ``symmetric``: base is -head, and a difference counts twice for every pair that is not ordered,
    so that the diagonal, which is there once, counts once more.
    """

    base: Array
    head: Array
    base_counts: Counts
    head_counts: Counts
    base_before: Counts  # how many samples of base come before a distinct value
    symmetric: bool

    @classmethod
    def of(cls, base: Array, head: Array, *, symmetric: bool = False) -> "_Differences":
        ours, our_counts = np.unique(base, return_counts=True)
        theirs, their_counts = np.unique(head, return_counts=True)
        before = np.concatenate([[0], np.cumsum(our_counts)])
        return cls(ours, theirs, our_counts, their_counts, before, symmetric)

    def ranked(self, rank: int) -> float:
        scale = float(np.abs(self.base).max() + np.abs(self.head).max())
        margin = _ROUNDINGS * (sys.float_info.epsilon * scale + sys.float_info.min)
        low = float(self.head[0] - self.base[-1]) - margin
        high = float(self.head[-1] - self.base[0]) + margin
        few = 4 * (len(self.base) + len(self.head))
        inside = self._below(self._cuts(high)) - self._below(self._cuts(low))
        while inside > few and high - low > margin:
            middle = low + (high - low) / 2
            if self._below(self._cuts(middle)) <= rank:
                low = middle
            else:
                high = middle
            inside = self._below(self._cuts(high)) - self._below(self._cuts(low))
        return self._among(self._cuts(high + margin), self._cuts(low - margin), rank)

    def _cuts(self, value: float) -> Counts:
        """For each of head, from which of base on the difference is at most ``value``."""
        return np.searchsorted(self.base, self.head - value)

    def _below(self, cuts: Counts) -> int:
        """How many differences lie beyond the cuts."""
        number = int(self.head_counts @ (self.base_before[-1] - self.base_before[cuts]))
        if self.symmetric:
            number += int(self.head_counts[self._mirror() >= cuts].sum())
        return number

    def _mirror(self) -> Counts:
        """Where the negative of each of head is in base."""
        return np.arange(len(self.head))[::-1]

    def _among(self, first: Counts, end: Counts, rank: int) -> float:
        """The difference of this rank, which lies between the cuts."""
        lengths = end - first
        rows = np.repeat(np.arange(len(self.head)), lengths)
        starts = np.cumsum(lengths) - lengths
        columns = np.arange(len(rows)) + np.repeat(first - starts, lengths)
        weights = self.head_counts[rows] * self.base_counts[columns]
        if self.symmetric:
            weights += np.where(self._mirror()[rows] == columns, self.head_counts[rows], 0)
        differences = self.head[rows] - self.base[columns]
        order = np.argsort(differences)
        reached = np.cumsum(weights[order])
        at = np.searchsorted(reached, rank - self._below(end), side="right")
        return float(differences[order[at]])
