"""First crossings of a target, by hand and against a walk along the curve."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from bench.statistics.training.arrivals import Arrival, Curve, arrival, time_to_target

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("losses", "target", "time"),
    [
        ([3, 2, 1], 1.5, 15),
        ([3, 2, 1], 2, 10),  # exactly at an evaluation
        ([3, 2, 1], 1, 20),  # exactly at the last
        ([3, 2, 1], 0.99, INF),
        ([3, 2, 1], 3, 0),  # met before training
        ([3, 2, 1], 7, 0),
        ([3, 1, 3, 1], 2, 5),  # the first of two crossings
        ([3, 3, 1], 2, 15),
        ([1, 3, 1], 2, 0),
        ([3, 1, NAN], 2, 5),  # diverged after it arrived
        ([3, NAN, 1], 2, INF),  # and before: what follows is another run's
        ([INF, 3, 1], 2, INF),
        ([3, -INF], 2, INF),
        ([NAN], 2, INF),
    ],
)
def test_first_crossings_by_hand(losses, target, time):
    axis = [10.0 * i for i in range(len(losses))]

    assert time_to_target(axis, losses, target) == time


def test_a_drop_at_one_step_is_an_arrival_at_that_step():
    """A teleport that changes the loss is evaluated twice at its step."""
    assert time_to_target([0, 10, 10, 20], [3.0, 2.9, 1.0, 0.9], 2.0) == 10


def walk(axis, losses, target):
    """The same in exact arithmetic, segment by segment."""
    points = [(Fraction(x), Fraction(y)) for x, y in zip(axis, losses, strict=True)]
    aim = Fraction(target)
    if points[0][1] <= aim:
        return points[0][0]
    for (x0, y0), (x1, y1) in pairwise(points):
        if y1 <= aim:
            return x0 + (x1 - x0) * (aim - y0) / (y1 - y0)
    return INF


def test_against_a_walk_along_noisy_curves():
    rng = np.random.default_rng(0)
    times = []
    for _ in range(300):
        axis = np.cumsum(rng.integers(0, 4, 12)).astype(float)
        losses = np.exp(-np.arange(12) / 8) + 0.2 * rng.standard_normal(12)
        expected = float(walk(axis.tolist(), losses.tolist(), 0.05))
        times.append(time_to_target(axis, losses, 0.05))
        assert times[-1] == pytest.approx(expected, rel=1e-12)

    assert 10 < sum(map(math.isinf, times)) < 290


@pytest.mark.parametrize(
    ("losses", "expected", "earliest"),
    [
        ([3, 1, 1], Arrival(5, 20, diverged=False), 5),
        ([3, 1, NAN], Arrival(5, 20, diverged=False), 5),
        ([3, 3, 3], Arrival(INF, 20, diverged=False), 20),  # longer than it was followed
        ([3, 3, INF], Arrival(INF, 20, diverged=True), INF),  # never
    ],
)
def test_what_is_known_of_a_time(losses, expected, earliest):
    found = arrival(Curve([0, 10, 20], losses), 2)

    assert found == expected
    assert found.earliest == earliest


@pytest.mark.parametrize(
    ("axis", "losses", "message"),
    [
        ([], [], "at least one"),
        ([0, 1], [1.0], r"shapes \(2,\) and \(1,\)"),
        ([0, 2, 1], [3.0, 2.0, 1.0], "never descend"),
        ([-1, 2], [3.0, 2.0], "from 0 on"),
        ([0, NAN], [3.0, 2.0], "from 0 on"),
    ],
)
def test_what_is_no_curve_is_refused(axis, losses, message):
    with pytest.raises(ValueError, match=message):
        time_to_target(axis, losses, 1.0)


@pytest.mark.parametrize("target", [NAN, INF, -INF])
def test_a_target_has_to_be_finite(target):
    with pytest.raises(ValueError, match="finite target; got"):
        time_to_target([0], [1.0], target)
