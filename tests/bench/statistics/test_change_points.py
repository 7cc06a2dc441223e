"""Steps are found where there are some, and nowhere else."""

import math
import random

import pytest

from bench.statistics import change_points as module
from bench.statistics.change_points import change_points


def series(levels, length, noise, seed, far=0.0):
    rng = random.Random(seed)
    return [
        level * math.exp(noise * rng.gauss(0, 1) * (4 if rng.random() < far else 1))
        for level in levels
        for _ in range(length)
    ]


def test_one_step_is_found_where_it_is():
    found = [change_points(series([1, 1.2], 15, 0.03, seed)) for seed in range(50)]

    assert sum(len(each) == 1 and abs(each[0] - 15) <= 1 for each in found) >= 47


def test_a_spike_is_no_step():
    values = series([1], 30, 0.02, 1)
    values[17] *= 5

    assert change_points(values) == []


def test_up_and_down_again_are_two_steps():
    assert change_points(series([1, 1.5, 1], 10, 0.02, 3)) == [10, 20]


def test_unequal_stretches_down_to_five_points():
    """Lengths and noise of the series that airspeed velocity tests its step detection on."""
    stretches = [(5, 1.0), (5, 1.4), (10, 2.3), (30, 2.1), (20, 2.3), (30, 3.4)]
    for seed in range(20):
        rng = random.Random(seed)
        values = [level + 0.05 * rng.random() for length, level in stretches for _ in range(length)]

        assert change_points(values) == [5, 10, 20, 50, 70]


@pytest.mark.parametrize("length", [8, 30, 100])
@pytest.mark.parametrize("far", [0.0, 0.1])
def test_noise_has_no_steps(length, far):
    found = [change_points(series([1], length, 0.05, seed, far)) for seed in range(200)]

    assert sum(map(bool, found)) <= 10


def test_without_the_penalty_noise_would_have_steps(monkeypatch):
    monkeypatch.setattr(module, "PENALTY", 0.5)
    found = [change_points(series([1], 30, 0.05, seed)) for seed in range(200)]

    assert sum(map(bool, found)) > 100


def test_steps_too_small_to_matter_are_left_out():
    values = [1.0] * 20 + [1.01] * 20 + [1.2] * 20

    assert change_points(values) == [40]


def test_few_points_have_no_steps():
    assert change_points([]) == []
    assert change_points([1, 1, 1, 9, 9]) == []


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(ValueError, match="expected positive times"):
        change_points([1.0, value, 1.0])
