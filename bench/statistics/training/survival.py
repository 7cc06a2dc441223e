"""Times of which some are only known to be longer than what was seen.

Runs that never arrive stay in: leaving them out would reward an arm whose slow runs fail.
scipy has the estimator of Kaplan and Meier and the log-rank test; what it lacks is here.

Source: J. P. Klein and M. L. Moeschberger, Survival Analysis, 2nd ed., sections 4.2 and 4.5
(estimator, restricted mean, median) and 7.3 (log-rank test).
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.statistics.training.arrivals import Arrival

if TYPE_CHECKING:
    from scipy.stats import CensoredData

Array = NDArray[np.float64]

_ROUNDING = 1e-12  # a product of ratios that should be one half may miss it by this


class Times(NamedTuple):
    """Times of runs, arrays [runs]; ``arrived`` is False where the time is a lower bound."""

    values: Array
    arrived: NDArray[np.bool_]


class RestrictedMean(NamedTuple):
    """The mean of times that are cut at a horizon, and its standard error."""

    value: float
    error: float


def followed(arrivals: Sequence[Arrival], horizon: float) -> Times:
    """Times to target, right-censored where a run ended; of a diverged run at ``horizon``.

    To censor a diverged run where it diverged would say that it might have arrived right after.
    """
    values = [horizon if a.diverged else a.earliest for a in arrivals]
    return Times(np.array(values, dtype=float), np.array([a.arrived for a in arrivals], dtype=bool))


def median_time(times: Times) -> float:
    """The first time by which, by Kaplan and Meier, half of the runs have arrived; or inf.

    NaN without any run.
    """
    if not len(times.values):
        return math.nan
    at, not_yet = _kaplan_meier(times)
    half = np.flatnonzero(not_yet <= 0.5 + _ROUNDING)
    return float(at[half[0]]) if len(half) else math.inf


def restricted_mean(times: Times, horizon: float) -> RestrictedMean:
    """The mean of min(time, ``horizon``): the area under the curve of Kaplan and Meier.

    The variance is the sum over times t of A(t)^2 d / (n (n - d)), where A(t) is the area from t
    on, d the number of runs that arrive at t and n of those that had not before (4.5.2).
    NaN without any run.
    """
    if not len(times.values):
        return RestrictedMean(math.nan, math.nan)
    at, not_yet = _kaplan_meier(times)
    at, not_yet = at[at < horizon], not_yet[at < horizon]
    ends = np.append(at, horizon)
    areas = not_yet * np.diff(ends)
    areas_from = np.cumsum(areas[::-1])[::-1]
    at_risk = (times.values[:, None] >= at).sum(axis=0)
    arrive = (times.arrived[:, None] & (times.values[:, None] == at)).sum(axis=0)
    left = at_risk - arrive
    some = left > 0  # where none is left there is no area, either
    terms = areas_from[some] ** 2 * arrive[some] / (at_risk[some] * left[some])
    return RestrictedMean(float(ends[0] + areas.sum()), math.sqrt(terms.sum()))


def log_rank(first: Times, second: Times) -> float:
    """The two-sided p-value of the log-rank test that two arms arrive alike; pairs do not count.

    NaN where no run arrives while runs of both arms are followed.
    """
    from scipy.stats import logrank

    with np.errstate(invalid="ignore"):  # 0 / 0
        return float(logrank(_censored(first), _censored(second)).pvalue)


def _kaplan_meier(times: Times) -> tuple[Array, Array]:
    """Times in ascending order, and which share has not arrived by then."""
    from scipy.stats import ecdf

    found = ecdf(_censored(times)).sf
    return found.quantiles, found.probabilities


def _censored(times: Times) -> "CensoredData":
    from scipy.stats import CensoredData

    return CensoredData.right_censored(times.values, ~times.arrived)
