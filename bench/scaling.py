"""How time grows with one swept quantity x: T(x) = floor + scale x^exponent.

Phases. Growth is fitted for each axis x phase. T = b (prepare + t step) is a straight line in t
with another floor than in b or n, so read ``prepare`` against b and n, ``steps`` against t and b,
and ``total`` against every axis for what a user pays. ``prepare`` against t is a check: constant.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import NamedTuple

import numpy as np

from bench.power_law import Array, Profile, interval, minimum, profile
from bench.statistics import LEVEL, Ranks, median_ranks

PHASES = ("prepare", "steps", "total")
EXPONENT_RANGE = (-1.0, 6.0)  # from perfect sharing to more than any dense algebra takes

_EXPONENTS = np.linspace(*EXPONENT_RANGE, 141)
_LEAST_LEVELS = 3
_NOISE_LEVEL = 0.75  # inner order statistics: outliers do not count as noise of the median


class Growth(NamedTuple):
    """How time grows along one axis; the numbers are NaN where ``reason`` says why.

    exponent: that of the part that grows, once a constant floor is allowed for. 0 where the data
        are constant as far as they can tell; its interval is then that of ``slope``, and all of
        the time is floor. A bound equal to one of ``EXPONENT_RANGE`` means: not bounded.
    floor_s: seconds, >= 0.
    scale: seconds at x = 1 on top of the floor, >= 0.
    slope: the plain log-log slope of the medians, which a floor pulls towards 0.
    levels: how many levels had samples.
    """

    exponent: float
    ci_low: float
    ci_high: float
    floor_s: float
    scale: float
    slope: float
    slope_low: float
    slope_high: float
    levels: int
    reason: str = ""


@dataclass(frozen=True)
class _Sweep:
    """What the fit sees, arrays [levels]: centred logarithms of levels and medians, and ``noise``.

    noise: variance of each log median, as far as the scatter of its own samples shows it.
    """

    log_x: Array
    log_y: Array
    noise: Array

    def noise_along(self, direction: Array) -> float:
        """The noise as felt by an estimate that is proportional to ``direction @ log_y``."""
        weights = direction**2 + 1e-300  # a direction of zeros weighs all levels alike
        return float(weights @ self.noise / weights.sum())


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

    The data are constant when the slope's interval contains 0 and an F test finds the two
    coefficients of growth not worth having. So growth hidden under a floor far larger than itself
    is called constant, too.

    Args:
        levels: positive values of the swept quantity, all different, at least 3 over a factor 2.
        samples: the raw timings in seconds, samples[i] at levels[i]. Levels without samples, of
            cells that failed, are left out.
        level: the coverage of the intervals.

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
    if reason:
        nan = math.nan
        return Growth(nan, nan, nan, nan, nan, nan, nan, nan, len(timings), reason)
    log_x = np.log([x for x, _ in timings])
    medians = np.array([median(times) for _, times in timings])
    log_y = np.log(medians / medians[0])  # equal medians become exact zeros
    noise = _noise([times for _, times in timings])
    sweep = _Sweep(log_x - log_x.mean(), log_y - log_y.mean(), noise)
    slope = _slope(sweep, level)
    exponent, low, high, floor, scale = _exponent(sweep, level, slope)
    unit = float(medians[0]) * math.exp(log_y.mean())
    scale *= unit * math.exp(-exponent * log_x.mean())
    return Growth(exponent, low, high, floor * unit, scale, *slope, levels=len(timings))


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


def _noise(samples: list[list[float]]) -> Array:
    """Variance of each log median, from the scatter of its sorted samples.

    The gap between two order statistics is read as +- z standard errors of the median, which
    holds for any distribution; the standard deviation would not, for two modes or heavy tails.
    A level of one sample takes the mean noise per sample of the others, or 0.
    """
    variances = np.zeros(len(samples))
    counts = np.array([len(times) for times in samples])
    for i, times in enumerate(samples):
        if len(times) > 1:
            widest = Ranks(1, len(times), 1 - 2.0 ** (1 - len(times)))
            low, high, coverage = median_ranks(len(times), _NOISE_LEVEL) or widest
            gap = math.log(times[high - 1] / times[low - 1])
            variances[i] = (gap / 2 / _two_sided_z(coverage)) ** 2
    several = counts > 1
    if several.any():
        variances[~several] = (variances * counts)[several].mean()
    return variances


def _two_sided_z(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


def _slope(sweep: _Sweep, level: float) -> tuple[float, float, float]:
    """Least-squares slope of log y on log x, with its interval."""
    from scipy.special import stdtrit

    spread = sweep.log_x @ sweep.log_x
    slope = float(sweep.log_x @ sweep.log_y / spread)
    residual = sweep.log_y - slope * sweep.log_x
    freedom = len(residual) - 2
    error = max(float(residual @ residual) / freedom, sweep.noise_along(sweep.log_x))
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(error / spread)
    return slope, slope - half, slope + half


def _exponent(
    sweep: _Sweep, level: float, slope: tuple[float, float, float]
) -> tuple[float, float, float, float, float]:
    """Exponent, its interval, floor and scale of the best curve; a floor alone if constant."""
    from scipy.special import stdtrit

    coarse = profile(sweep.log_x, sweep.log_y, _EXPONENTS)
    best = minimum(sweep.log_x, sweep.log_y, coarse)
    if slope[1] <= 0 <= slope[2] and not _growth_is_worth_it(sweep, level, best):
        return 0.0, slope[1], slope[2], 1.0, 0.0
    exponent, least = float(best.exponent[0]), float(best.residual[0])
    freedom = _freedom(sweep)
    few = float(stdtrit(freedom, (1 + level) / 2)) ** 2  # F(1, m) is the square of t(m)
    many = _two_sided_z(level) ** 2 if len(sweep.log_x) > _LEAST_LEVELS else few
    noise = sweep.noise_along(_sensitivity(sweep, best))
    bound = least + max(few * least / freedom, many * noise)
    low, high = interval(sweep.log_x, sweep.log_y, coarse, exponent, bound)
    return exponent, low, high, float(best.floor[0]), float(best.scale[0])


def _freedom(sweep: _Sweep) -> int:
    """Degrees of freedom behind the residual of the curve with its three coefficients."""
    return max(len(sweep.log_x) - 3, 1)


def _growth_is_worth_it(sweep: _Sweep, level: float, best: Profile) -> bool:
    """F test of the curve (three coefficients) against a constant (one)."""
    from scipy.special import fdtri

    least, freedom = float(best.residual[0]), _freedom(sweep)
    curve = np.log(best.floor[0] + best.scale[0] * np.exp(best.exponent[0] * sweep.log_x))
    error = max(least / freedom, sweep.noise_along(curve - curve.mean()))
    gained = float(sweep.log_y @ sweep.log_y) - least
    return gained / 2 > float(fdtri(2, freedom, level)) * error


def _sensitivity(sweep: _Sweep, best: Profile) -> Array:
    """The direction in which the medians move the exponent.

    The derivative of the log curve by the exponent, less what the other coefficients take up.
    """
    growth = best.scale[0] * np.exp(best.exponent[0] * sweep.log_x)
    curve = best.floor[0] + growth
    others = np.stack([growth / curve, 1 / curve], axis=1)
    derivative = growth * sweep.log_x / curve
    free: Array = derivative - others @ np.linalg.lstsq(others, derivative)[0]
    return free
