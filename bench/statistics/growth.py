"""How time grows with one swept quantity x: T(x) = floor + scale x^exponent.

Phases. Growth is fitted for each axis x phase. T = b (prepare + t step) is a straight line in t
with another floor than in b or n, so read ``prepare`` against b and n, ``steps`` against t and b,
and ``total`` against every axis for what a user pays. ``prepare`` against t is a check: constant.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from bench.statistics.laws import CONSTANT, FALLING, UNDECIDED, Law, best_law
from bench.statistics.log_sweep import (
    ROUNDING,
    Sweep,
    noise_of,
    slope_interval,
    slope_p,
    two_sided_z,
)
from bench.statistics.medians import LEVEL
from bench.statistics.power_law import Array, Profile, interval, minimum, profile

PHASES = ("prepare", "steps", "total")
LEAST_LEVELS, LEAST_SPAN = 4, 8  # below these no law is named and no verdict given
TOLERANCE = 0.15  # ours, in exponents: 11 % more or less for each doubling of the level
CONSTANT_ERROR = 0.01  # how often constant data may be called growing or falling
EXPONENT_RANGE = (-1.0, 6.0)  # from perfect sharing to more than any dense algebra takes

_EXPONENTS = np.linspace(*EXPONENT_RANGE, 141)
_LEAST_LEVELS = 3


class Growth(NamedTuple):
    """How time grows along one axis; the numbers are NaN where ``reason`` says why.

    exponent: that of the part that grows, once a constant floor is allowed for. 0 where the data
        do not tell it from a constant at all; its interval is then that of ``slope``, and all of
        the time is floor. A bound equal to one of ``EXPONENT_RANGE`` means: not bounded.
    law: one of ``bench.statistics.laws``; "constant" where that is not rejected and the slope known
        to be 0 within ``TOLERANCE``, empty where the levels are too thin to tell.
    """

    exponent: float
    ci_low: float
    ci_high: float
    floor_s: float  # seconds, >= 0
    scale: float  # seconds at x = 1 on top of the floor, >= 0
    slope: float  # the plain log-log slope of the medians, which a floor pulls towards 0
    slope_low: float
    slope_high: float
    levels: int  # how many had samples
    reason: str = ""
    constant_p: float = math.nan  # how likely a constant time would look so little constant
    law: str = ""
    rivals: tuple[str, ...] = ()  # other laws that fit as well
    thin: str = ""  # why these levels decide nothing; empty where they may


def fit_growth(
    levels: Sequence[float], samples: Sequence[Sequence[float]], level: float = LEVEL
) -> Growth:
    """Fit T(x) = floor + scale x^exponent to the medians of a sweep.

    Two measures of error are kept apart. The residuals of the medians show noise and the scatter
    from level to level together, with few degrees of freedom; the raw samples show noise alone,
    with many, and bound the error from below when a few residuals are small by luck. The interval
    of the exponent is every value whose profiled residual exceeds the least by no more than the
    larger of the two allows (F tests with 1 and levels - 3, or 1 and many, degrees of freedom).
    Three levels leave no residual: one degree of freedom is charged for the scatter nobody sees.

    Constant is the null hypothesis. Two tests can reject it: the t test of the slope, and an F
    test of the two coefficients of growth. ``constant_p`` is twice the smaller p-value. Below
    ``CONSTANT_ERROR`` the data grow or fall; else the interval of the exponent is drawn out to
    contain 0, and where not even 1 - ``level`` is reached, the exponent is 0 and its interval that
    of the slope. So growth hidden under a floor far larger than itself is called constant, too.
    Thin levels, which take no law and no verdict, grow from 1 - ``level`` on: their exponent is an
    indication.

    The levels are positive and all different, at least 3 over a factor 2, and samples[i] the raw
    timings at levels[i] in seconds; levels without any, of cells that failed, are left out. The
    intervals cover at ``level``.

    Raises:
        ValueError: not one list of samples for each level, or a level of coverage not in (0, 1).
    """
    if len(levels) != len(samples):
        raise ValueError(
            f"expected one list of samples for each level; got {len(levels)} levels and "
            f"{len(samples)} lists"
        )
    if not 0 < level < 1:
        raise ValueError(f"expected a level between 0 and 1; got {level!r}: write 0.95 for 95 %")
    pairs = zip(levels, samples, strict=True)
    timings = [(float(x), sorted(float(s) for s in times)) for x, times in pairs if len(times)]
    reason = _wrong_number(timings) or _too_little(timings)
    return _unknown(len(timings), reason) if reason else _fitted(timings, level)


def _fitted(timings: list[tuple[float, list[float]]], level: float) -> Growth:
    """The fit in logarithms around their means, put back into seconds and levels."""
    log_x = np.log([x for x, _ in timings])
    medians = np.array([median(times) for _, times in timings])
    log_y = np.log(medians / medians[0])  # equal medians become exact zeros
    noise = noise_of([times for _, times in timings])
    sweep = Sweep(log_x - log_x.mean(), log_y - log_y.mean(), noise)
    reached = [x for x, _ in timings]
    thin = thinness(len(timings), min(reached), max(reached))
    coarse = profile(sweep.log_x, sweep.log_y, _EXPONENTS)
    best = minimum(sweep.log_x, sweep.log_y, coarse)
    slope = slope_interval(sweep, level)
    constant_p = min(1.0, 2 * min(slope_p(sweep), _curve_p(sweep, best)))
    rejected = constant_p < (1 - level if thin else CONSTANT_ERROR)
    law = Law("", ()) if thin else _law(sweep, slope, best, rejected)
    if rejected or constant_p < 1 - level:
        exponent, floor, scale = (float(n[0]) for n in (best.exponent, best.floor, best.scale))
        low, high = _exponent_interval(sweep, level, coarse, best)
    else:
        exponent, floor, scale = 0.0, 1.0, 0.0
        low, high = slope[1], slope[2]
    if not rejected:
        low, high = min(low, 0.0), max(high, 0.0)
    unit = float(medians[0]) * math.exp(log_y.mean())
    scale *= unit * math.exp(-exponent * log_x.mean())
    return Growth(
        exponent,
        low,
        high,
        floor * unit,
        scale,
        *slope,
        levels=len(timings),
        constant_p=constant_p,
        law=law.name,
        rivals=law.rivals,
        thin=thin,
    )


def _unknown(levels: int, reason: str) -> Growth:
    nan = math.nan
    return Growth(nan, nan, nan, nan, nan, nan, nan, nan, levels, reason, thin=reason)


def _wrong_number(timings: list[tuple[float, list[float]]]) -> str:
    for x, times in timings:
        if not (math.isfinite(x) and x > 0):
            return f"levels must be positive and finite, one is {x:g}"
        wrong = [s for s in times if not (math.isfinite(s) and s > 0)]
        if wrong:
            return f"samples must be positive and finite, level {x:g} has {wrong[0]:g}"
    return ""


def _too_little(timings: list[tuple[float, list[float]]]) -> str:
    levels = [x for x, _ in timings]
    twice = [x for i, x in enumerate(levels) if x in levels[:i]]
    if twice:
        return f"levels must differ, {twice[0]:g} comes more than once"
    if len(levels) < _LEAST_LEVELS:
        return f"growth takes {_LEAST_LEVELS} levels, {len(levels)} measured"
    if max(levels) < 2 * min(levels):
        return f"levels from {min(levels):g} to {max(levels):g} span less than a factor of 2"
    if len(levels) == _LEAST_LEVELS and all(len(times) == 1 for _, times in timings):
        return "3 levels of one sample each do not show their noise, take more of either"
    return ""


def _law(sweep: Sweep, slope: tuple[float, float, float], best: Profile, rejected: bool) -> Law:
    if rejected:
        if slope[0] <= 0:
            return Law(FALLING, ())
        return best_law(sweep.log_x, sweep.log_y, sweep.noise, float(best.residual[0]))
    known = slope[1] >= -TOLERANCE and slope[2] <= TOLERANCE
    return Law(CONSTANT if known else UNDECIDED, ())


def thinness(count: int, lowest: float, highest: float) -> str:
    """Why so many levels in such a range name no law and decide nothing; empty where they may."""
    span = highest / lowest
    if count >= LEAST_LEVELS and span >= LEAST_SPAN:
        return ""
    return (
        f"{count} levels over a factor of {span:.3g}, a law takes {LEAST_LEVELS} over a "
        f"factor of {LEAST_SPAN}"
    )


def _exponent_interval(
    sweep: Sweep, level: float, coarse: Profile, best: Profile
) -> tuple[float, float]:
    from scipy.special import stdtrit

    exponent, least = float(best.exponent[0]), float(best.residual[0])
    freedom = _freedom(sweep)
    few = float(stdtrit(freedom, (1 + level) / 2)) ** 2  # F(1, m) is the square of t(m)
    many = two_sided_z(level) ** 2 if len(sweep.log_x) > _LEAST_LEVELS else few
    noise = sweep.noise_along(_sensitivity(sweep, best))
    bound = least + max(few * least / freedom, many * noise)
    return interval(sweep.log_x, sweep.log_y, coarse, exponent, bound)


def _freedom(sweep: Sweep) -> int:
    """Degrees of freedom behind the residual of the curve with its three coefficients."""
    return max(len(sweep.log_x) - 3, 1)


def _curve_p(sweep: Sweep, best: Profile) -> float:
    """p-value of the F test of the curve (three coefficients) against a constant (one)."""
    from scipy.special import fdtrc

    least, freedom = float(best.residual[0]), _freedom(sweep)
    curve = np.log(best.floor[0] + best.scale[0] * np.exp(best.exponent[0] * sweep.log_x))
    error = max(least / freedom, sweep.noise_along(curve - curve.mean()))
    gained = float(sweep.log_y @ sweep.log_y) - least
    if gained <= ROUNDING**2:
        return 1.0
    return float(fdtrc(2, freedom, gained / 2 / error)) if error > 0 else 0.0


def _sensitivity(sweep: Sweep, best: Profile) -> Array:
    """The derivative of the log curve by the exponent, less what other coefficients take up."""
    growth = best.scale[0] * np.exp(best.exponent[0] * sweep.log_x)
    curve = best.floor[0] + growth
    others = np.stack([growth / curve, 1 / curve], axis=1)
    derivative = growth * sweep.log_x / curve
    free: Array = derivative - others @ np.linalg.lstsq(others, derivative)[0]
    return free
