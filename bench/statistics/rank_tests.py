"""Ratios of two sets of times, with rank tests and the intervals that belong to them.

Everything happens on logarithms, so that a shift is a ratio. The estimates are Hodges and Lehmann's
and their intervals those of the tests: the ratios that the test would not reject. So an interval
and a p-value never contradict each other by more than rounding to whole ranks.

Arrays are [cells, samples]: all cells of one shape are done at once.
Source: M. Hollander, D. A. Wolfe and E. Chicken, Nonparametric Statistical Methods, 3rd ed.,
sections 3.1-3.3 (pairs: signed ranks) and 4.1-4.3 (two samples: rank sums).
"""

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.statistics.order_statistics import of_differences, of_means

Array = NDArray[np.float64]

_EXACT_PAIRS = 50  # from here on scipy takes the normal approximation
_CHUNK = 2_000_000  # numbers sorted at a time, 16 MB


class Shift(NamedTuple):
    """Estimated shifts of logarithms, arrays [cells]; bounds are NaN with too few samples."""

    value: Array
    low: Array
    high: Array
    p_value: Array


def paired_shift(differences: Array, level: float) -> Shift:
    """The centre of symmetric ``differences`` [cells, pairs]: median of all means of two of them.

    The p-values are two-sided, of the Wilcoxon signed-rank test against a centre of 0.
    """
    count = differences.shape[1]
    mean = count * (count + 1) / 4
    drop = _drop(mean, math.sqrt(mean * (2 * count + 1) / 6), level)
    means = count * (count + 1) // 2
    if means > _CHUNK:
        ranks = _ranks(means, drop)
        found = np.array([of_means(row, ranks) for row in differences])
        value, low, high = _estimates(found, drop)
    else:
        first, second = np.triu_indices(count)
        parts = [
            _quantiles((rows[:, first] + rows[:, second]) / 2, drop)
            for rows in _chunks(differences, means)
        ]
        value, low, high = np.concatenate(parts, axis=1)
    return Shift(value, low, high, _signed_rank(differences))


def independent_shift(base: Array, head: Array, level: float) -> Shift:
    """The shift from ``base`` [cells, n] to ``head`` [cells, m]: median of all differences.

    The p-values are two-sided, of the Mann-Whitney test.
    """
    from scipy.stats import mannwhitneyu

    ours, theirs = base.shape[1], head.shape[1]
    mean = ours * theirs / 2
    drop = _drop(mean, math.sqrt(mean * (ours + theirs + 1) / 6), level)
    if ours * theirs > _CHUNK:
        ranks = _ranks(ours * theirs, drop)
        pairs = zip(base, head, strict=True)
        found = np.array([of_differences(*pair, ranks) for pair in pairs])
        value, low, high = _estimates(found, drop)
    else:
        both = np.concatenate([base, head], axis=1)
        shifts = [
            _quantiles((rows[:, None, ours:] - rows[:, :ours, None]).reshape(len(rows), -1), drop)
            for rows in _chunks(both, ours * theirs)
        ]
        value, low, high = np.concatenate(shifts, axis=1)
    p_value = np.asarray(mannwhitneyu(base, head, axis=1).pvalue, dtype=float)
    return Shift(value, low, high, p_value)


def holm(p_values: Array) -> Array:
    """p-values adjusted for their number: the chance of any false alarm among them is bounded.

    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.
    """
    count = len(p_values)
    order = np.argsort(p_values)
    scaled = p_values[order] * np.arange(count, 0, -1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def least_pairs(error: float) -> int:
    """The fewest pairs whose signed ranks can give a two-sided p-value of ``error`` or below."""
    return math.ceil(1 - math.log2(error))


def least_samples(error: float) -> int:
    """The fewest samples a side, equally many, whose rank sums can do the same."""
    count = 1
    while 2 / math.comb(2 * count, count) > error:
        count += 1
    return count


def _drop(mean: float, deviation: float, level: float) -> int:
    """How many sorted candidates lie outside either end, plus one; 0 if all miss the level."""
    # The normal approximation with its continuity correction; rounding down keeps the coverage.
    from scipy.special import ndtri

    return max(0, math.floor(mean + 0.5 - float(ndtri((1 + level) / 2)) * deviation))


def _ranks(count: int, drop: int) -> list[int]:
    """Which of ``count`` sorted candidates are asked for: two in the middle, one at either end."""
    ends = [drop - 1, count - drop] if drop else [0, count - 1]
    return [(count - 1) // 2, count // 2, *ends]


def _quantiles(candidates: Array, drop: int) -> Array:
    """Median and the ``drop``-th from either end, array [3, cells]."""
    ranks = _ranks(candidates.shape[1], drop)
    return _estimates(np.partition(candidates, sorted(set(ranks)), axis=1)[:, ranks], drop)


def _estimates(ranked: Array, drop: int) -> Array:
    """The same from what ``_ranks`` asks for, [cells, 4]."""
    low, high = (ranked[:, end] if drop else np.full(len(ranked), np.nan) for end in (2, 3))
    return np.stack([ranked[:, :2].mean(axis=1), low, high])


def _signed_rank(differences: Array) -> Array:
    """Ties, which only a coarse clock makes, are given mean ranks, zeros none."""
    from scipy.stats import wilcoxon

    p_value = np.ones(len(differences))
    moved = (differences != 0).any(axis=1)  # no difference at all is no evidence of one
    if moved.any():
        # Left to itself, scipy goes through all permutations where there are ties: seconds a cell.
        few = differences.shape[1] <= _EXACT_PAIRS
        method: Literal["exact", "auto"] = "exact" if few else "auto"
        found = wilcoxon(differences[moved], axis=1, zero_method="pratt", method=method)
        p_value[moved] = found.pvalue
    return p_value


def _chunks(rows: Array, per_row: int) -> list[Array]:
    """Never more parts than rows: an empty part has no quantiles."""
    return np.array_split(rows, min(len(rows), len(rows) * per_row // _CHUNK + 1))
