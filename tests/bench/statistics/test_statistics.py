"""Medians and their intervals: worked examples, and coverage by simulation."""

import math
import subprocess
import sys

import numpy as np
import pytest

from bench.statistics.medians import Estimate, Ranks, median_interval, median_ranks, paired_ratio

TRIALS = 20_000


def normal(rng, shape):
    return rng.standard_normal(shape), 0.0


def log_normal(rng, shape):
    return np.exp(rng.standard_normal(shape)), 1.0


def two_modes(rng, shape):
    """Fast at 1 in 60 %, slow at 2 in 40 %; the median is where 1's cumulative is 0.5 / 0.6."""
    modes = np.where(rng.random(shape) < 0.6, 1.0, 2.0)
    median = 1.0 + 0.05 * 0.967421566  # the normal quantile of 5/6
    return modes + 0.05 * rng.standard_normal(shape), median


# Binomial(n, 1/2): 1 - 2 P(X <= k - 1); 1 - 2/128, 1 - 22/1024, 1 - 43400/2^20, ...
@pytest.mark.parametrize(
    ("count", "low", "high", "coverage"),
    [
        (6, 1, 6, 0.9688),
        (7, 1, 7, 0.9844),
        (8, 1, 8, 0.9922),
        (9, 2, 8, 0.9609),
        (10, 2, 9, 0.9785),
        (20, 6, 15, 0.9586),
        (30, 10, 21, 0.9572),
        (100, 40, 61, 0.9648),
    ],
)
def test_ranks_are_those_of_the_binomial_tables(count, low, high, coverage):
    assert median_ranks(count) == Ranks(low, high, pytest.approx(coverage, abs=5e-5))


def test_ranks_at_another_level():
    assert median_ranks(10, 0.90) == Ranks(2, 9, pytest.approx(0.978515625))
    assert median_ranks(10, 0.75) == Ranks(3, 8, pytest.approx(0.890625))
    assert median_ranks(10, 0.99) == Ranks(1, 10, pytest.approx(0.998046875))


@pytest.mark.parametrize("count", range(6))
def test_fewer_than_six_samples_have_no_95_percent_interval(count):
    assert median_ranks(count) is None


@pytest.mark.parametrize("count", [11, 64, 501, 5000])
def test_ranks_are_the_narrowest_that_cover(count):
    from scipy.stats import binom

    low, high, coverage = median_ranks(count)
    assert high == count + 1 - low
    assert coverage == pytest.approx(1 - 2 * binom.cdf(low - 1, count, 0.5), rel=1e-9)
    assert coverage >= 0.95 > 1 - 2 * binom.cdf(low, count, 0.5)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.5])
def test_a_level_is_a_probability(level):
    with pytest.raises(ValueError, match=r"between 0 and 1; got .*: write 0.95 for 95 %"):
        median_interval([1.0, 2.0], level)


def test_worked_example():
    samples = [9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0, 100.0]
    assert median_interval(samples) == Estimate(5.5, 2.0, 9.0, 10)
    assert median_interval(samples[:7]) == Estimate(6.0, 1.0, 9.0, 7)


def test_too_few_samples_keep_their_median():
    value, low, high, count = median_interval([3.0, 1.0, 2.0])
    assert (value, count) == (2.0, 3)
    assert math.isnan(low)
    assert math.isnan(high)


def test_no_samples_are_no_number():
    estimate = median_interval([])
    assert estimate.count == 0
    assert all(math.isnan(number) for number in estimate[:3])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_sample_that_is_not_finite_is_refused_by_index(bad):
    with pytest.raises(ValueError, match=rf"expected finite numbers; sample 2 of 3 is {bad}"):
        median_interval([1.0, 2.0, bad])


def test_paired_ratio_cancels_what_both_sides_share():
    drift = [1.0, 3.0, 0.5, 7.0, 2.0, 11.0, 0.1]
    ratio = paired_ratio([6.0 * d for d in drift], [2.0 * d for d in drift])
    assert ratio[:3] == pytest.approx((3.0, 3.0, 3.0))
    assert ratio.count == 7


def test_paired_ratio_is_the_median_of_ratios_not_the_ratio_of_medians():
    assert paired_ratio([1.0, 2.0, 9.0], [1.0, 4.0, 3.0]).value == 1.0  # 1, 1/2, 3; not 2/3


def test_paired_ratio_passes_the_level_on():
    ones = [1.0] * 6
    assert paired_ratio(range(6), ones, 0.95).low == 0
    assert math.isnan(paired_ratio(range(6), ones, 0.99).low)


@pytest.mark.parametrize(
    ("above", "under", "message"),
    [
        ([1.0, 2.0], [1.0], r"got 2 numerators and 1 denominators: keep only the rounds"),
        ([1.0, 2.0], [1.0, 0.0], r"positive denominators; denominator 1 is 0.0: a time of zero"),
        ([1.0, math.nan], [1.0, 1.0], r"numerator 1 of 2 is nan"),
        ([1.0, 1.0], [math.inf, 1.0], r"denominator 0 of 2 is inf"),
    ],
)
def test_paired_ratio_refuses(above, under, message):
    with pytest.raises(ValueError, match=message):
        paired_ratio(above, under)


@pytest.mark.parametrize("count", [7, 10, 20, 30])
@pytest.mark.parametrize("draw", [normal, log_normal, two_modes])
def test_interval_covers_the_median_of_any_distribution(draw, count):
    samples, median = draw(np.random.default_rng(count), (TRIALS, count))
    covered = np.mean([e.low <= median <= e.high for e in map(median_interval, samples.tolist())])
    assert covered >= 0.95
    assert covered == pytest.approx(median_ranks(count).coverage, abs=0.006)  # 4 standard errors


def test_percentile_bootstrap_of_seven_samples_does_not():
    """Why order statistics: the bootstrap's 95 % interval is [x_(2), x_(6)], 87.5 %."""
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((1000, 7))
    resamples = rng.integers(7, size=(1000, 7))
    medians = np.median(samples[:, resamples], axis=2)
    low, high = np.quantile(medians, [0.025, 0.975], axis=1)
    assert np.mean((low <= 0) & (high >= 0)) < 0.90


def test_command_line_pays_nothing_for_importing_it():
    code = (
        "import sys, bench.statistics.medians;"
        "print({'numpy', 'scipy', 'torch'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
