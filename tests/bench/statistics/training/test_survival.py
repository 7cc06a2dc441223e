"""Kaplan-Meier median, restricted mean and log-rank test: a published trial, and by hand."""

import math

import numpy as np
import pytest

from bench.statistics.training.arrivals import Arrival
from bench.statistics.training.survival import (
    Times,
    followed,
    log_rank,
    median_time,
    restricted_mean,
)

# Weeks to relapse of 21 + 21 children (Freireich et al., Blood 21 (1963) 699-716); the second
# number is 0 where a child had none when it was last seen.
TREATED = [
    *((6, 1), (6, 1), (6, 1), (6, 0), (7, 1), (9, 0), (10, 1), (10, 0), (11, 0), (13, 1), (16, 1)),
    *((17, 0), (19, 0), (20, 0), (22, 1), (23, 1), (25, 0), (32, 0), (32, 0), (34, 0), (35, 0)),
]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def times(values, arrived=None):
    known = np.ones(len(values), bool) if arrived is None else np.array(arrived, bool)
    return Times(np.array(values, dtype=float), known)


treated = times(*zip(*TREATED, strict=True))
placebo = times(PLACEBO)


def test_medians_of_the_published_trial():
    assert median_time(treated) == 23
    assert median_time(placebo) == 8


def test_restricted_means_of_the_published_trial():
    """Klein and Moeschberger, section 4.5: 23.287 weeks, standard error 2.827, of the treated."""
    mean = restricted_mean(treated, 35)
    assert mean.value == pytest.approx(23.287, abs=5e-4)
    assert mean.error == pytest.approx(2.827, abs=5e-4)

    mean = restricted_mean(placebo, 35)
    assert mean.value == pytest.approx(np.mean(PLACEBO))  # all relapsed: the plain mean
    assert mean.error == pytest.approx(np.std(PLACEBO) / math.sqrt(21))


def test_log_rank_of_the_published_trial():
    """Chi-squared 16.79 with one degree of freedom."""
    normal = math.sqrt(16.79)

    assert log_rank(treated, placebo) == pytest.approx(math.erfc(normal / math.sqrt(2)), rel=3e-3)
    assert log_rank(placebo, treated) == log_rank(treated, placebo)


def test_survivors_are_not_averaged():
    half = times([1, 2, 100, 100], [1, 1, 0, 0])

    assert restricted_mean(half, 100).value == pytest.approx(203 / 4)
    assert median_time(half) == 2
    assert median_time(times([1, 2, 9, 9, 9], [1, 1, 0, 0, 0])) == math.inf


def test_a_median_of_one_half_is_not_lost_to_rounding():
    """9/10 * 7/9 * 5/7 is one half, and a little more in floats."""
    sample = times([1, 3, 3, 4, 4, 5, 5, 5, 5, 6], [1, 1, 1, 1, 1, 1, 0, 1, 0, 1])

    assert median_time(sample) == 4


def area(sample, horizon, cells=40_000):
    """The area under the share that has not arrived, from its definition, on a fine grid."""
    grid = (np.arange(cells) + 0.5) * horizon / cells
    share = np.ones(cells)
    for at in np.unique(sample.values[sample.arrived]):
        still = (sample.values >= at).sum()
        now = (sample.arrived & (sample.values == at)).sum()
        share[grid > at] *= 1 - now / still
    return share.mean() * horizon


@pytest.mark.parametrize("horizon", [0.4, 1.0, 3.0])
def test_restricted_mean_against_its_definition(horizon):
    rng = np.random.default_rng(3)
    for _ in range(10):
        ends, due = rng.exponential(2, 15).round(1), rng.exponential(1, 15).round(1)
        sample = Times(np.minimum(ends, due), due <= ends)
        assert restricted_mean(sample, horizon).value == pytest.approx(
            area(sample, horizon), abs=1e-3
        )


def test_the_standard_error_is_the_spread_of_the_mean():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(400):
        due, ends = rng.exponential(1, 80), rng.exponential(2, 80)
        found.append(restricted_mean(Times(np.minimum(due, ends), due <= ends), 1.5))
    values, errors = np.array(found).T

    assert errors.mean() == pytest.approx(values.std(), rel=0.1)


def test_a_diverged_run_counts_as_one_that_did_not_arrive_to_the_end():
    sample = followed(
        [
            Arrival(4, 10, diverged=False),
            Arrival(math.inf, 10, diverged=False),
            Arrival(math.inf, 1, diverged=True),
        ],
        10,
    )

    assert sample.values.tolist() == [4, 10, 10]
    assert sample.arrived.tolist() == [True, False, False]


def test_where_nothing_is_known_nothing_is_said():
    nobody, none = times([5, 5], [0, 0]), times([])

    assert median_time(nobody) == math.inf
    assert restricted_mean(nobody, 5) == (5, 0)
    assert math.isnan(log_rank(nobody, nobody))
    assert math.isnan(median_time(none))
    assert all(map(math.isnan, restricted_mean(none, 5)))
    assert math.isnan(log_rank(times([10]), times([5], [0])))  # never followed together
