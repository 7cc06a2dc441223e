"""Medians with distribution-free intervals.

The interval of a median runs between two order statistics. A sample lies below the median of a
continuous distribution with probability 1/2, so

    P(x_(k) < median < x_(n+1-k)) = 1 - 2 P(Binomial(n, 1/2) <= k - 1),

whatever the distribution. A percentile bootstrap of the median of 7 samples would claim 95 % and
cover 87.5 %. Standard library only: the command line imports this module.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import median
from typing import NamedTuple

LEVEL = 0.95


class Estimate(NamedTuple):
    """A median and its interval, in the unit of the samples; NaN where it cannot be told."""

    value: float
    low: float
    high: float
    count: int  # type: ignore[assignment]  # nobody counts equal entries of an estimate


class Ranks(NamedTuple):
    """The order statistics, counted from 1, that bound a median, and how often they do."""

    low: int
    high: int
    coverage: float


@lru_cache(maxsize=1024)
def median_ranks(count: int, level: float = LEVEL) -> Ranks | None:
    """The narrowest symmetric ranks (k, count + 1 - k) that cover the median at ``level``.

    None where not even the smallest and the largest sample reach it (95 % takes 6 samples).

    Raises:
        ValueError: a level that is not between 0 and 1.

    Source: W. J. Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2.
    """
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1; got {level!r}: write 0.95 for 95 %")
    best = None
    below, ways = 0, 1  # ways = C(count, k - 1); below = sum of C(count, i) for i < k
    for k in range(1, count // 2 + 1):
        below += ways
        coverage = 1.0 - 2 * below / 2**count
        if coverage < level:
            break
        best = Ranks(k, count + 1 - k, coverage)
        ways = ways * (count - k + 1) // k
    return best


def median_interval(samples: Sequence[float], level: float = LEVEL) -> Estimate:
    """The median of independent samples with an interval that covers it at ``level`` or above.

    None at all give NaN and a count of 0. The interval is NaN where they are too few for it.

    Raises:
        ValueError: a sample that is not finite, or a level that is not between 0 and 1.
    """
    ordered = sorted(_finite("sample", samples))
    ranks = median_ranks(len(ordered), level)
    value = median(ordered) if ordered else math.nan
    if ranks is None:
        return Estimate(value, math.nan, math.nan, len(ordered))
    return Estimate(value, ordered[ranks.low - 1], ordered[ranks.high - 1], len(ordered))


def paired_ratio(
    numerators: Sequence[float], denominators: Sequence[float], level: float = LEVEL
) -> Estimate:
    """The median of numerators[i] / denominators[i] with its interval.

    Both sides of a pair come from the same round, so that what slows a round down cancels.

    Raises:
        ValueError: sides of unequal length, a number that is not finite, a denominator that is
            not positive, or a level that is not between 0 and 1.
    """
    above, under = _finite("numerator", numerators), _finite("denominator", denominators)
    if len(above) != len(under):
        raise ValueError(
            f"expected one denominator for each numerator; got {len(above)} numerators and "
            f"{len(under)} denominators: keep only the rounds that both sides have"
        )
    for index, number in enumerate(under):
        if number <= 0:
            raise ValueError(
                f"expected positive denominators; denominator {index} is {number!r}: "
                "a time of zero is below the clock's resolution, time more work per sample"
            )
    return median_interval([a / u for a, u in zip(above, under, strict=True)], level)


def _finite(name: str, numbers: Sequence[float]) -> list[float]:
    values = [float(number) for number in numbers]
    for index, number in enumerate(values):
        if not math.isfinite(number):
            raise ValueError(
                f"expected finite numbers; {name} {index} of {len(values)} is {number!r}: "
                "leave out the rounds that failed"
            )
    return values
