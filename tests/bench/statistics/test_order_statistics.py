"""Selecting from differences that are never formed, against sorting all of them."""

import numpy as np
import pytest

from bench.statistics import rank_tests
from bench.statistics.order_statistics import of_differences, of_means
from bench.statistics.rank_tests import independent_shift, paired_shift


def normal(rng, count):
    return rng.standard_normal(count)


def coarse(rng, count):
    return np.log(rng.integers(1, 9, count) * 1e-7)


def constant(rng, count):
    return np.full(count, rng.choice([0.0, -13.5]))


def far(rng, count):
    return rng.standard_normal(count) * 10.0 ** rng.integers(-300, 300, count)


def close(rng, count):
    return -13.0 + rng.integers(0, 5, count) * np.spacing(13.0)


DRAWS = [normal, coarse, constant, far, close]


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize(("ours", "theirs"), [(1, 1), (2, 7), (60, 1), (61, 47)])
def test_differences_are_those_of_sorting(draw, ours, theirs):
    rng = np.random.default_rng(ours)
    base, head = draw(rng, ours), draw(rng, theirs)
    ordered = np.sort((head[:, None] - base).ravel())
    ranks = range(0, len(ordered), max(1, len(ordered) // 97))
    assert of_differences(base, head, [*ranks, len(ordered) - 1]) == [
        *ordered[list(ranks)],
        ordered[-1],
    ]


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("count", [1, 2, 7, 80])
def test_means_are_those_of_sorting(draw, count):
    values = draw(np.random.default_rng(count), count)
    first, second = np.triu_indices(count)
    ordered = np.sort((values[first] + values[second]) / 2)
    ranks = range(0, len(ordered), max(1, len(ordered) // 97))
    assert of_means(values, ranks) == list(ordered[list(ranks)])


@pytest.mark.parametrize("draw", [normal, coarse, close])
def test_shifts_are_the_same_either_way(monkeypatch, draw):
    rng = np.random.default_rng(3)
    base = np.stack([draw(rng, 90) for _ in range(3)])
    head = np.stack([draw(rng, 70) for _ in range(3)])
    direct = independent_shift(base, head, 0.95), paired_shift(base, 0.95)
    monkeypatch.setattr(rank_tests, "_CHUNK", 100)
    counted = independent_shift(base, head, 0.95), paired_shift(base, 0.95)
    assert np.array_equal(direct, counted)


@pytest.mark.parametrize("count", [1415, 2000])
def test_thousands_of_samples_of_several_cells(count):
    rng = np.random.default_rng(count)
    base = rng.standard_normal((3, count))
    shift = independent_shift(base, base + 0.5, 0.95)
    assert shift.value == pytest.approx(0.5, abs=1e-9)
    assert np.all((shift.low < 0.5) & (shift.high > 0.5))
    assert np.all(np.isfinite(paired_shift(base, 0.95)))


def test_as_many_samples_as_a_fast_function_gets():
    rng = np.random.default_rng(5)
    base = rng.uniform(1, 1.2, (1, 58_477))
    shift = independent_shift(base, base, 0.95)
    assert shift.value == pytest.approx(0, abs=1e-12)
    assert shift.low == pytest.approx(-shift.high)
    assert shift.low < 0
