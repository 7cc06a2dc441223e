"""Operations and bytes of a whole sample, and the models that have none."""

from typing import Any

import pytest
import torch
from finished_cells import finished_cells
from flop_counting import flops
from small_problems import classification, residual
from torch import nn

from bench.costs.closed_forms import Shape, phases_of, sample_counts, stack_shape
from bench.plan.points import Point
from bench.timing.rounds import sgd_call
from teleport_core import Problem
from teleport_core.operations import NOTHING

NONE = {"operations": None, "bytes": None}


def phases(variant: str, n: int = 4) -> Any:
    return phases_of(variant, Shape((6, 8, 3), n, True, 8))


@pytest.mark.parametrize(
    "variant",
    [
        "sgd",
        "nullspace",
        "nullspace:engine=textbook,tau=0.9",
        "symmetry:acts_on=activations",
    ],
)
def test_a_sample_is_every_batch_prepared_and_stepped(variant: str) -> None:
    problems = [classification([6, 8, 3], 4)] * 5

    found = sample_counts(variant, problems, 7)

    one = phases(variant)
    prepare = one["prepare"].products + one["prepare"].factorisations
    step = one["step"].products + one["step"].factorisations
    assert found["operations"] == 5 * (prepare + 7 * step)
    assert found["bytes"] == 5 * (one["prepare"].bytes + 7 * one["step"].bytes)
    assert {type(value) for value in found.values()} == {int}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", [[6, 4], [9, 13, 11], [20, 16, 12, 5], [7, 11, 13, 17, 4]])
@pytest.mark.parametrize("n", [1, 8, 40])
def test_sgd(widths: list[int], n: int, bias: bool) -> None:
    problem = classification(widths, n, bias=bias)

    phases = phases_of("sgd", Shape(tuple(widths), n, bias, 8))

    assert phases is not None
    assert phases["prepare"] == NOTHING
    for steps in (1, 3):
        found = flops(lambda t=steps: sgd_call([problem], t, []))
        assert found == steps * phases["step"].products


def test_sgd_by_hand() -> None:
    """Widths 3, 4, 2 and five samples: weights of 12 and 8 entries."""
    phases = phases_of("sgd", Shape((3, 4, 2), 5, False, 4))

    assert phases is not None
    assert phases["step"].products == 5 * (4 * 12 + 6 * 8)
    assert phases["step"].bytes == 4 * (2 * (12 + 15 + 20) + 3 * (8 + 20 + 10))


def test_batches_of_different_size_are_counted_each() -> None:
    first, second = classification([6, 8, 3], 4), classification([6, 8, 3], 9)

    both = sample_counts("sgd", [first, second], 1)["operations"]

    assert both == phases("sgd", 4)["step"].products + phases("sgd", 9)["step"].products


def test_identity_does_nothing() -> None:
    assert sample_counts("identity", [classification([6, 8, 3], 4)], 3) == {
        "operations": 0,
        "bytes": 0,
    }


def test_the_shape_of_a_stack() -> None:
    single = classification([6, 8, 3], 4, bias=False, dtype=torch.float32)

    assert stack_shape(classification([6, 8, 3], 4)) == Shape((6, 8, 3), 4, True, 8)
    assert stack_shape(single) == Shape((6, 8, 3), 4, False, 4)


def test_columns_are_samples_after_flattening_and_tokens_without() -> None:
    images = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    tokens = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    inputs = torch.zeros(7, 3, 4)

    assert stack_shape(Problem(images, nn.MSELoss(), inputs, None)) == Shape((12, 5, 2), 7, True, 4)
    assert stack_shape(Problem(tokens, nn.MSELoss(), inputs, None)) == Shape((4, 5, 2), 21, True, 4)


def frozen() -> Problem:
    problem = classification([6, 8, 3], 4)
    problem.model[0].weight.requires_grad_(False)
    return problem


def half_biased() -> Problem:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3, bias=False)).double()
    plain = classification([6, 8, 3], 4)
    return Problem(model, plain.loss_fn, plain.inputs, plain.targets)


@pytest.mark.parametrize("build", [residual, frozen, half_biased])
@pytest.mark.parametrize("variant", ["sgd", "nullspace"])
def test_what_the_closed_forms_do_not_describe_has_no_counts(build: Any, variant: str) -> None:
    assert sample_counts(variant, [build()], 2) == NONE


def test_a_method_that_is_unknown_has_no_counts() -> None:
    assert sample_counts("no-such-method", [classification([6, 8, 3], 4)], 2) == NONE


def test_every_finished_cell_carries_its_counts() -> None:
    point = Point(
        t=3, d=16, n=4, l=3, b=2, model="mlp", dataset="digits", device="cpu", dtype="float32"
    )
    variants = ["sgd", "nullspace", "symmetry"]

    cells = finished_cells(point, variants, bias=False)

    for variant in variants:
        one = phases_of(variant, Shape((64, 16, 16, 10), 4, False, 4))
        assert one is not None
        whole = (one["prepare"] + one["step"] * 3) * 2
        assert cells[variant]["status"] == "ok"
        assert cells[variant]["operations"] == whole.products + whole.factorisations
        assert cells[variant]["bytes"] == whole.bytes
