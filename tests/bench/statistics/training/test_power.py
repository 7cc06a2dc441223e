"""Seeds needed: the spread against normal samples, the power by simulation."""

import math

import numpy as np
import pytest

from bench.statistics.training.pairs import LogRatios, sign_test
from bench.statistics.training.power import POWER, needed_seeds, spread

ERROR = 0.01


@pytest.mark.parametrize("count", [6, 10, 20, 200])
def test_the_spread_is_sigma_of_a_normal(count):
    samples = 0.03 * np.random.default_rng(count).standard_normal((2000, count))

    assert np.mean([spread(row) for row in samples]) == pytest.approx(0.03, rel=0.1)


def test_one_run_in_ten_that_never_arrives_does_not_move_the_spread():
    values = np.arange(10.0)
    lost = values.copy()
    lost[-1] = math.inf

    assert spread(lost) == spread(values)
    lost[-2:] = math.inf
    assert math.isnan(spread(lost))
    assert math.isnan(spread(values[:2]))


def found(rng, sigma, effect, seeds, error):
    """Which share of 600 experiments has a significant sign test."""
    draws = math.log1p(effect) + sigma * rng.standard_normal((600, seeds))
    shares = []
    for wins, times in zip(*np.unique((draws > 0).sum(axis=1), return_counts=True), strict=True):
        signs = np.repeat([1.0, -1.0], [wins, seeds - wins])
        shares.append(times / 600 * (sign_test(LogRatios(signs, signs)) <= error))
    return sum(shares)


@pytest.mark.parametrize("error", [ERROR, ERROR / 5])
@pytest.mark.parametrize("sigma", [0.01, 0.02, 0.04, 0.12])
def test_that_many_seeds_have_that_power(sigma, error):
    rng = np.random.default_rng(7)
    needed = int(needed_seeds(sigma, error))

    assert found(rng, sigma, 0.02, needed, error) == pytest.approx(POWER, abs=0.07) or needed < 15
    assert found(rng, sigma, 0.02, needed, error) >= POWER - 0.05
    assert found(rng, sigma, 0.02, int(0.7 * needed), error) < POWER - 0.05


def test_the_exact_number_goes_over_into_the_formula():
    exact, normal = needed_seeds(0.1025, ERROR), needed_seeds(0.1035, ERROR)

    assert exact <= 500 < normal < 520


def test_the_ends():
    assert needed_seeds(0.0, ERROR) == 8  # the fewest whose p-value can be 0.01: 2 / 256
    assert math.isnan(needed_seeds(math.nan, ERROR))
    assert needed_seeds(1.0, ERROR) == pytest.approx(11.68 * math.pi / 2 / 0.0198**2, rel=0.01)
