"""How many seeds it would have taken: the power that an experiment had.

The sign test decides between an effect and none. With log ratios that are normal with spread s
around log(1 + effect), a seed points the right way with probability Phi(log(1 + effect) / s); the
number of seeds that do is binomial, which gives the power. That is an approximation in two ways:
ratios need not be normal, and s is itself estimated from few seeds, so that the number that comes
out may be off by a factor of two. Beyond some hundreds of seeds Noether's formula is used.

Source: G. E. Noether, Journal of the American Statistical Association 82 (1987) 645-647.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.statistics.rank_tests import least_pairs

Array = NDArray[np.float64]

POWER = 0.8
EFFECT = 0.02

_ONE_SIGMA = 0.8413447460685429  # the share of a normal distribution below its mean + 1 sigma
_EXACT = 500  # seeds; from here on the normal approximation is off by less than 1 %


def spread(logs: Array) -> float:
    """Half the width that holds the middle 68 % of ``logs`` [seeds]: the sigma of a normal.

    A run in ten that never arrives does not move it; NaN if too many do, or below three seeds.
    """
    if len(logs) < 3:
        return math.nan
    with np.errstate(invalid="ignore"):
        shares = (1 - _ONE_SIGMA, _ONE_SIGMA)
        low, high = np.quantile(logs, shares, method="normal_unbiased")
    width = float(high - low) / 2
    return width if math.isfinite(width) else math.nan


def needed_seeds(spread: float, error: float, effect: float = EFFECT) -> float:
    """The fewest seeds whose sign test finds an effect that is there with probability ``POWER``.

    Args:
        spread: the standard deviation of paired log ratios; NaN gives NaN.
        error: the two-sided p-value from which on down the test is significant.
        effect: the true ratio less 1: 0.02 for 2 %.
    """
    from scipy.special import bdtrc, ndtr, ndtri

    if math.isnan(spread):
        return math.nan
    right = float(ndtr(math.log1p(effect) / spread)) if spread else 1.0
    counts, critical = _critical(error)
    enough = np.flatnonzero(bdtrc(critical - 1, counts, right) >= POWER)
    if len(enough):
        return float(counts[enough[0]])
    normal = ndtri(1 - error / 2) + ndtri(POWER)
    return float(math.ceil((normal / (2 * right - 1)) ** 2))


@lru_cache(maxsize=64)
def _critical(error: float) -> tuple[NDArray[np.int_], Array]:
    """Numbers of seeds, and how many of them must agree for a p-value of ``error``."""
    from scipy.stats import binom

    counts = np.arange(least_pairs(error), _EXACT + 1)
    return counts, np.asarray(binom.isf(error / 2, counts, 0.5)) + 1
