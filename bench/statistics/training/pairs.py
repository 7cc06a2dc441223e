"""Paired ratios of times to a target, where some runs never arrive.

A seed gives one ratio: the arm's time over plain's. What is not known of it is kept as two bounds:

    both arrive           the ratio itself
    the arm does not      at least what the arm had run for over plain's time
    plain does not        at most the arm's time over what plain had run for
    neither does          anything

A run that diverged never arrives, so that its time is infinite for certain. The interval takes its
lower end from the lower bounds and its upper end from the upper ones: whatever the ratios that
could not be seen are, the order statistics of the true ones lie within.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.statistics.medians import LEVEL, Estimate, median_ranks
from bench.statistics.training.arrivals import Arrival

Array = NDArray[np.float64]


class LogRatios(NamedTuple):
    """Between which bounds the logarithm of each seed's ratio lies, arrays [seeds]."""

    low: Array
    high: Array

    @property
    def unknown(self) -> int:
        """How many seeds have no bound at all: neither run arrives."""
        return int(((self.low == -math.inf) & (self.high == math.inf)).sum())

    @property
    def values(self) -> Array:
        """The log ratio where it is known; else a miss is infinitely late, and two are a tie."""
        later = np.where(self.low >= 0, math.inf, 0.0)
        missed = np.where(self.high <= 0, -math.inf, later)
        return np.where(self.low == self.high, self.low, missed)


def log_ratios(arm: Sequence[Arrival], plain: Sequence[Arrival]) -> LogRatios:
    """The log ratios of an arm's times over plain's, of which equal places are the same seed.

    Raises:
        ValueError: sides of unequal length.
    """
    if len(arm) != len(plain):
        raise ValueError(
            f"expected a run of plain for each run of the arm; got {len(arm)} and {len(plain)}: "
            "keep only the seeds that both have"
        )
    with np.errstate(divide="ignore"):  # a target met at 0 is met infinitely early
        ours, theirs = _log_bounds(arm), _log_bounds(plain)
    with np.errstate(invalid="ignore"):
        low, high = ours[0] - theirs[1], ours[1] - theirs[0]
    unknown = np.isnan(low) | np.isnan(high)  # neither arrives, or both at 0
    return LogRatios(np.where(unknown, -math.inf, low), np.where(unknown, math.inf, high))


def ratio(logs: LogRatios, level: float = LEVEL) -> Estimate:
    """The median ratio with an interval by order statistics, which holds at ``level`` or above.

    The median counts a miss as infinitely late and a seed where neither arrives as 1. It is NaN if
    it falls between infinitely early and infinitely late; the interval is NaN below six seeds.
    """
    count = len(logs.low)
    value = math.exp(median(logs.values.tolist())) if count else math.nan
    ranks = median_ranks(count, level)
    if ranks is None:
        return Estimate(value, math.nan, math.nan, count)
    low = math.exp(np.sort(logs.low)[ranks.low - 1])
    high = math.exp(np.sort(logs.high)[ranks.high - 1])
    return Estimate(value, low, high, count)


def sign_test(logs: LogRatios) -> float:
    """The two-sided p-value of the sign test against a median ratio of 1.

    Seeds that do not tell which run was first, and ties, count for the side that has fewer: the
    p-value is the largest that their outcomes could give.

    Source: W. J. Conover, Practical Nonparametric Statistics, 3rd ed., section 3.4.
    """
    count = len(logs.low)
    most = max(int((logs.high < 0).sum()), int((logs.low > 0).sum()))
    ways = sum(math.comb(count, k) for k in range(most, count + 1))
    return min(1.0, 2 * ways / (1 << count))


def _log_bounds(arrivals: Sequence[Arrival]) -> Array:
    """The logarithms of the earliest and the latest possible times, array [2, runs]."""
    bounds = [[a.earliest for a in arrivals], [a.time for a in arrivals]]
    return np.asarray(np.log(bounds), dtype=float)
