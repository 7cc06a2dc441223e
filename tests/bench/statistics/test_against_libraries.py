"""Our own statistics beside other people's implementations of the same."""

import math
import random

import numpy as np
import pytest
import ruptures
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import quantile_test

from bench.statistics.change_points import PENALTY, _segments, mean_deviation
from bench.statistics.medians import median_interval
from bench.statistics.power_law import interval, minimum, profile


@pytest.mark.parametrize("seed", range(12))
def test_segments_are_those_of_ruptures(seed):
    rng = random.Random(seed)
    levels = [rng.choice([0.0, 0.1, 0.3, 0.5]) for _ in range(rng.randint(1, 6))]
    logs = [level + 0.05 * rng.gauss(0, 1) for level in levels for _ in range(rng.randint(3, 15))]
    penalty = PENALTY * math.log(len(logs)) * mean_deviation(logs)

    search = ruptures.Pelt(model="l1", min_size=3, jump=1).fit(np.array(logs)[:, None])

    assert _segments(logs, penalty) == search.predict(pen=penalty)[:-1]


@pytest.mark.parametrize("count", [6, 7, 20, 75])
def test_an_interval_holds_the_medians_that_a_test_does_not_reject(count):
    """scipy's ends are order statistics, too, but each end's own: ours may be one rank wider."""
    samples = sorted(np.random.default_rng(count).lognormal(size=count))
    _, low, high, _ = median_interval(samples)

    theirs = quantile_test(samples, p=0.5).confidence_interval(0.95)

    assert low <= theirs.low
    assert high >= theirs.high
    assert samples.index(theirs.low) - samples.index(low) <= 1
    assert samples.index(high) - samples.index(theirs.high) <= 1


@pytest.mark.parametrize("seed", range(8))
def test_exponent_and_its_interval_are_those_of_scipys_searches(seed):
    rng = np.random.default_rng(seed)
    log_x = np.log(2.0 ** np.arange(7))
    log_x -= log_x.mean()
    log_y = np.log(1 + np.exp(rng.uniform(0.5, 2.5) * log_x)) + 0.02 * rng.standard_normal(7)
    log_y -= log_y.mean()
    coarse = profile(log_x, log_y, np.linspace(-1, 4, 101))
    best = minimum(log_x, log_y, coarse)

    def residual(exponent: float) -> float:
        return float(profile(log_x, log_y, np.array([exponent])).residual[0])

    near = coarse.exponent[coarse.residual.argmin()]
    theirs = minimize_scalar(residual, bounds=(near - 0.05, near + 0.05), options={"xatol": 1e-8})
    assert best.exponent[0] == pytest.approx(theirs.x, abs=1e-5)
    assert best.residual[0] == pytest.approx(theirs.fun)

    bound = 3 * theirs.fun
    low, high = interval(log_x, log_y, coarse, float(best.exponent[0]), bound)
    for edge, outside in ((low, -1), (high, 4)):
        if -1 < edge < 4:
            found = brentq(lambda x: residual(x) - bound, best.exponent[0], outside)
            assert edge == pytest.approx(found, abs=1e-4)
