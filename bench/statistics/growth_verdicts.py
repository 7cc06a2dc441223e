"""What a sweep says about a claim: it holds, it fails, or these levels cannot tell.

An interval that lies wholly within what the claim allows makes it hold, one wholly outside makes it
fail. All else is left open, and the reason is given. Levels that are few or close together decide
nothing (``Growth.thin``).
"""

import math
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise
from typing import NamedTuple

from bench.statistics.growth import TOLERANCE, Growth
from bench.statistics.laws import UNDECIDED
from bench.statistics.medians import Estimate


class Answer(Enum):
    """What became of a claim; the value is how a sentence goes on."""

    HOLDS = "holds"
    FAILS = "fails"
    OPEN = "cannot be told from these levels"


class Finding(NamedTuple):
    """An answer and, where it is open, why."""

    answer: Answer
    reason: str = ""

    def __str__(self) -> str:
        """``holds``, ``fails`` or ``cannot be told from these levels: 3 levels, takes 4``."""
        return f"{self.answer.value}: {self.reason}" if self.reason else self.answer.value


def near_constant(growth: Growth) -> Finding:
    """Whether time grows by less than ``TOLERANCE`` in the plain log-log slope, or falls."""
    return _within(growth, (growth.slope_low, growth.slope_high), -math.inf, TOLERANCE)


def linear(growth: Growth) -> Finding:
    """Whether the exponent, a constant floor allowed for, is 1 within ``TOLERANCE``.

    Where growth is neither seen nor excluded, a floor may hide any exponent.
    """
    if not growth.thin and growth.law == UNDECIDED:
        return Finding(Answer.OPEN, "they do not tell growth from a constant")
    return _within(growth, (growth.ci_low, growth.ci_high), 1 - TOLERANCE, 1 + TOLERANCE)


def grows_faster(first: Growth, second: Growth) -> Finding:
    """Whether the plain slope of ``second`` lies above that of ``first``."""
    for growth in (first, second):
        if growth.thin:
            return Finding(Answer.OPEN, growth.thin)
    if second.slope_low > first.slope_high:
        return Finding(Answer.HOLDS)
    if second.slope_high < first.slope_low:
        return Finding(Answer.FAILS)
    return Finding(Answer.OPEN, "the intervals of the slopes overlap")


def _within(
    growth: Growth, interval: tuple[float, float], lowest: float, highest: float
) -> Finding:
    if growth.thin:
        return Finding(Answer.OPEN, growth.thin)
    low, high = interval
    if lowest <= low and high <= highest:
        return Finding(Answer.HOLDS)
    if high < lowest or low > highest:
        return Finding(Answer.FAILS)
    return Finding(Answer.OPEN, "the interval reaches to both sides of the limit")


class Crossing(NamedTuple):
    """Where the first of two methods becomes the faster or the slower one.

    It is faster "always", "never", "above" (from the crossing on), "below" (up to it), or "" where
    the levels do not tell, with the ``reason``.
    """

    faster: str
    at: float = math.nan  # the level where the ratio passes 1, interpolated between logarithms
    low: float = math.nan  # the last level on this side where the ratio is clear
    high: float = math.nan  # the first on the other
    reason: str = ""


def crossing(levels: Sequence[float], ratios: Sequence[Estimate]) -> Crossing:
    """From which of the ascending levels on the first method is faster than the second.

    ``ratios`` are times of the first over those of the second; one whose interval contains 1 takes
    no side.
    """
    sides = [(x, r) for x, r in zip(levels, ratios, strict=True) if r.high < 1 or r.low > 1]
    if not sides:
        return Crossing("", reason="no level tells them apart")
    first = [r.high < 1 for _, r in sides]
    changes = [i for i in range(1, len(sides)) if first[i] != first[i - 1]]
    if not changes:
        return Crossing("always" if first[0] else "never")
    if len(changes) > 1:
        return Crossing("", reason=f"they change places {len(changes)} times")
    (low, _), (high, _) = sides[changes[0] - 1], sides[changes[0]]
    at = _passes_one(
        [(x, r.value) for x, r in zip(levels, ratios, strict=True) if low <= x <= high]
    )
    return Crossing("below" if first[0] else "above", at, low, high)


def _passes_one(points: list[tuple[float, float]]) -> float:
    """The last level at which a ratio passes 1, on the straight line between two logarithms."""
    logs = [(math.log(x), math.log(ratio)) for x, ratio in points]
    for (x0, y0), (x1, y1) in reversed(list(pairwise(logs))):
        if y0 == 0 or y0 * y1 < 0:
            return math.exp(x0 + (x1 - x0) * y0 / (y0 - y1) if y0 else x0)
    return math.nan
