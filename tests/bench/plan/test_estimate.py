"""The planning estimate: right in its orders of growth, and the presets keep their promises."""

from dataclasses import replace

import pytest

from bench.plan.estimate import (
    BLOCK_SECONDS,
    COSTS,
    block_seconds,
    mlp_layers,
    nullspace,
    preservation_seconds,
    sample_seconds,
    sgd,
    symmetry,
    unknown,
)
from bench.plan.points import make_plan, plan_seconds
from bench.spec.preset import load_preset
from bench.spec.settings import Preservation, Sampling
from bench.spec.variants import SGD, Variant, parse_variant

LETTERS = {"t": 8, "d": 1024, "n": 32, "l": 3, "b": 8}
VARIANTS = [*map(Variant, COSTS), Variant("other"), parse_variant("nullspace:engine=textbook")]


def test_layers_of_the_sweeps_mlp():
    assert mlp_layers(LETTERS, 784) == [(784, 1024), (1024, 1024), (1024, 10)]
    assert mlp_layers({**LETTERS, "l": 1}, 64) == [(64, 10)]


def test_an_sgd_step_by_hand():
    assert sgd([(784, 16), (16, 10)], 20, SGD).step == 6 * 20 * (784 * 16 + 16 * 10)


def in_sgd_steps(cost):
    layers = mlp_layers(LETTERS, 784)
    return cost.step / sgd(layers, LETTERS["n"], SGD).step


@pytest.mark.parametrize(
    ("cost", "variant", "low", "high"),
    [
        # Measured on two CPU cores for 784-1024-1024-10, n=32: 0.3-0.7, 4.3 and 47 SGD steps.
        (nullspace, "nullspace", 0.2, 1.0),
        (nullspace, "nullspace:engine=textbook", 3, 7),
        (nullspace, "nullspace:tau=.99", 3, 7),
        (nullspace, "nullspace:tau=1.0", 0.2, 1.0),
        (symmetry, "symmetry", 30, 80),
        (unknown, "other", 5, 5),
    ],
)
def test_steps_in_units_of_sgd(cost, variant, low, high):
    layers = mlp_layers(LETTERS, 784)
    found = in_sgd_steps(cost(layers, LETTERS["n"], parse_variant(variant)))
    assert low <= found <= high


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("letter", LETTERS)
def test_more_work_never_takes_less_time(kind, variant, letter):
    times = [
        sample_seconds(variant, {**LETTERS, letter: level}, "mnist", kind) for level in (2, 4, 64)
    ]
    assert times == sorted(times)
    assert times[0] > 0


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_time_is_proportional_to_batches(variant):
    one = sample_seconds(variant, {**LETTERS, "b": 1}, "mnist", "cpu")
    assert sample_seconds(variant, {**LETTERS, "b": 7}, "mnist", "cpu") == pytest.approx(7 * one)


@pytest.mark.parametrize(
    ("round_seconds", "expected"),
    [
        (0.1, 2 * 0.1 + 15 * 0.1),  # every sample fits
        (1.0, 2 * 1.0 + 9),  # the block's time ends it
        (4.0, 2 * 4.0 + 7 * 4.0),  # the minimum takes longer than that
    ],
)
def test_blocks_end_by_samples_by_time_or_at_their_minimum(round_seconds, expected):
    sampling = Sampling(warmup=2, min_samples=7, max_samples=15, block_seconds=9)
    assert block_seconds(round_seconds, sampling) == pytest.approx(BLOCK_SECONDS + expected)


def test_preservation_counts_only_where_it_is_measured():
    section = Preservation(variants=(Variant("nullspace"), Variant("symmetry")), taus=(1, 0.9))
    both = replace(section, starts=("init", "trained"))
    assert preservation_seconds(both) == 2 * preservation_seconds(section) > 0
    assert preservation_seconds(replace(section, enabled=False)) == 0
    quick = load_preset("quick")
    without = replace(quick, preservation=replace(quick.preservation, enabled=False))
    saved = plan_seconds(make_plan(quick)) - plan_seconds(make_plan(without))
    assert saved == pytest.approx(preservation_seconds(quick.preservation))


@pytest.mark.parametrize(("name", "limit"), [("smoke", 60), ("quick", 240)])
def test_small_presets_are_meant_for_two_cores(name, limit):
    assert plan_seconds(make_plan(load_preset(name))) < limit


def test_the_big_preset_wants_a_gpu():
    spec = load_preset("paper")
    on_cpu = plan_seconds(make_plan(spec))
    assert plan_seconds(make_plan(spec.with_overrides(device="cuda:0"))) < on_cpu / 10
