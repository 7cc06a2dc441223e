"""A sweep in logarithms, with the noise of its medians and the straight line through them."""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from bench.statistics.medians import Ranks, median_ranks
from bench.statistics.power_law import Array

ROUNDING = 1e-12  # a slope of logarithms that equal medians may show

_NOISE_LEVEL = 0.75  # inner order statistics: outliers do not count as noise of the median


@dataclass(frozen=True)
class Sweep:
    """What the fit sees, arrays [levels]: centred logarithms of levels and medians, and noise."""

    log_x: Array
    log_y: Array
    noise: Array  # variance of each log median, as far as the scatter of its own samples shows it

    def noise_along(self, direction: Array) -> float:
        """The noise as felt by an estimate that is proportional to ``direction @ log_y``."""
        weights = direction**2 + 1e-300  # a direction of zeros weighs all levels alike
        return float(weights @ self.noise / weights.sum())


def noise_of(samples: list[list[float]]) -> Array:
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
            variances[i] = (gap / 2 / two_sided_z(coverage)) ** 2
    several = counts > 1
    if several.any():
        variances[~several] = (variances * counts)[several].mean()
    return variances


def two_sided_z(level: float) -> float:
    """The normal quantile of a two-sided interval: 1.96 for 95 %."""
    return NormalDist().inv_cdf((1 + level) / 2)


def line(sweep: Sweep) -> tuple[float, float, int]:
    """Least-squares slope of log y on log x, its standard error and degrees of freedom."""
    spread = float(sweep.log_x @ sweep.log_x)
    slope = float(sweep.log_x @ sweep.log_y) / spread
    residual = sweep.log_y - slope * sweep.log_x
    freedom = len(residual) - 2
    error = max(float(residual @ residual) / freedom, sweep.noise_along(sweep.log_x))
    return slope, math.sqrt(error / spread), freedom


def slope_interval(sweep: Sweep, level: float) -> tuple[float, float, float]:
    """The slope with its interval."""
    from scipy.special import stdtrit

    slope, error, freedom = line(sweep)
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    return slope, slope - half, slope + half


def slope_p(sweep: Sweep) -> float:
    """Two-sided p-value of the slope."""
    from scipy.special import stdtr

    slope, error, freedom = line(sweep)
    if abs(slope) <= ROUNDING:
        return 1.0
    return 2 * float(stdtr(freedom, -abs(slope) / error)) if error > 0 else 0.0
