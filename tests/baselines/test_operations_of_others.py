"""Counts of the other methods against torch's own counter on real calls; products agree exactly."""

from typing import Any

import pytest
from flop_counting import flops, measured
from small_problems import classification
from torch import nn

from teleport_core import make
from teleport_core.operations import NOTHING, Phases

WIDTHS = [[9, 13, 11], [20, 16, 12, 5], [7, 11, 13, 17, 4]]


def counted(method: str, widths: list[int], n: int, bias: bool, **options: Any) -> Phases:
    found = make(method, **options).operations(widths, n, bias=bias, itemsize=8)
    assert found is not None
    return found


@pytest.mark.parametrize("method", ["level_set", "rescale", "enorm", "pathcond"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("n", [3, 25])  # below and above the widths
def test_products(method: str, widths: list[int], n: int, bias: bool) -> None:
    found = measured(lambda: classification(widths, n, bias=bias), method)

    phases = counted(method, widths, n, bias)
    assert found.once == phases["prepare"].products
    assert found.steps == [phases["step"].products] * 2


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("n", [3, 12, 25])
def test_products_of_a_random_move(widths: list[int], n: int, bias: bool) -> None:
    # No unit is dead: the inputs of a layer have full rank.
    problem = classification(widths, n, nn.LeakyReLU, bias=bias)
    method = make("random", steps=3)

    found = flops(lambda: method.advance(problem, method.prepare(problem)))

    phases = counted("random", widths, n, bias)
    assert found == phases["prepare"].products
    assert phases["step"] == NOTHING
    assert phases["prepare"].factorisations > 0


def test_policies_and_growth_run_the_net_no_more_often() -> None:
    for options in ({"policy": "random"}, {"policy": "best_of"}, {"growth": 1.1}):
        problem = classification([20, 16, 12, 5], 8)
        method = make("rescale", **options)

        found = flops(lambda m=method, p=problem: m.advance(p, m.prepare(p)))

        assert found == counted("rescale", [20, 16, 12, 5], 8, True, **options)["prepare"].products


def test_where_trials_are_up_to_the_loss_nothing_is_said() -> None:
    for options in ({"rho": 1.0}, {"published": True}):
        method = make("level_set", **options)
        assert method.operations([9, 13, 11], 3, bias=True, itemsize=8) is None
