"""The target: what pilot runs of plain training reach."""

import math

import pytest

from bench.errors import RunError
from bench.statistics.training.arrivals import Curve, time_to_target
from bench.statistics.training.targets import best_loss, target_hash, target_of


def test_a_run_reaches_its_lowest_loss_within_the_budget():
    curve = Curve([0, 10, 20, 30], [3.0, 1.0, 2.0, 0.5])

    assert best_loss(curve) == 0.5
    assert best_loss(curve, 30) == 0.5
    assert best_loss(curve, 29) == 1.0
    assert best_loss(curve, 5) == 3.0
    assert time_to_target(*curve, best_loss(curve, 29)) == 10  # so that the run itself arrives


def test_a_run_that_diverged_reaches_nothing_from_then_on():
    curve = Curve([0, 10, 20], [3.0, 1.0, math.nan])

    assert best_loss(curve, 10) == 1.0
    assert best_loss(curve, 20) == math.inf
    assert best_loss(Curve([5], [1.0]), 4) == math.inf


def test_the_target_is_the_median_and_counts_diverged_runs():
    assert target_of([0.3, 0.1, 0.2]) == 0.2
    assert target_of([0.1, 0.4, 0.2, 0.3]) == pytest.approx(0.25)
    assert target_of([0.3, math.nan, 0.2]) == 0.3  # not 0.25: the diverged run is the worst
    assert target_of([-math.inf, 0.3, 0.2]) == 0.3


@pytest.mark.parametrize("losses", [[], [math.nan], [0.1, math.inf], [0.1, math.nan, math.inf]])
def test_no_target_without_pilot_runs_that_end_well(losses):
    with pytest.raises(RunError, match="more than half end with a finite loss; got"):
        target_of(losses)


def test_the_hash_stands_for_every_fact_it_was_derived_from():
    losses, facts = {0: 0.5, 1: 0.25}, {"model": "mlp", "lr": 0.1, "budget": 500}
    known = target_hash(losses, facts)

    assert len(known) == 64
    assert known == target_hash({1: 0.25, 0: 0.5}, dict(reversed(facts.items())))
    others = [
        target_hash({0: 0.5, 2: 0.25}, facts),
        target_hash({0: 0.5, 1: math.nextafter(0.25, 1)}, facts),
        *(target_hash(losses, {**facts, name: "other"}) for name in facts),
    ]
    assert len({known, *others}) == 6
