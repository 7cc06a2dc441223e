"""The symmetry counts against torch's own counter on real calls; products agree exactly."""

from itertools import pairwise
from typing import Any

import pytest
from flop_counting import flops, measured
from small_problems import classification
from torch import nn

from teleport_core import make
from teleport_core.operations import NOTHING, pinv, solve

WIDTHS = [[9, 13, 11], [20, 16, 12, 5], [7, 11, 13, 17, 4], [10, 14, 12, 12, 15, 6]]
ACTIONS = ("preactivations", "activations")


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


def counted(widths: list[int], n: int, bias: bool = False, **options: Any) -> Any:
    return make("symmetry", **options).operations(widths, n, bias=bias, itemsize=8)


@pytest.mark.parametrize("acts_on", ACTIONS)
@pytest.mark.parametrize(("bias", "published"), [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("n", [3, 12, 25])  # below, among and above the widths
def test_products(acts_on: str, widths: list[int], n: int, bias: bool, published: bool) -> None:
    options = {"acts_on": acts_on, "published": published}

    found = measured(lambda: classification(widths, n, leaky, bias=bias), "symmetry", **options)

    phases = counted(widths, n, bias, **options)
    assert found.once == phases["prepare"].products
    assert found.steps == [phases["step"].products] * 2


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("acts_on", ACTIONS)
def test_depth_one_has_nothing_to_act_on(acts_on: str, published: bool) -> None:
    problem = classification([6, 4], 3, leaky, bias=False)
    teleporter = make("symmetry", acts_on=acts_on, published=published)

    found = flops(lambda: teleporter.advance(problem, teleporter.prepare(problem)))

    phases = counted([6, 4], 3, acts_on=acts_on, published=published)
    assert found == phases["prepare"].products
    assert phases["step"] == NOTHING


def test_factorisations_by_hand() -> None:
    """Widths 20, 16, 12, 5: pairs (20, 16, 12) and (16, 12, 5); a sweep inverts once a pair."""
    n = 8
    hidden = pinv(16, n).factorisations
    inputs = pinv(20, n).factorisations

    pre = counted([20, 16, 12, 5], n)
    assert pre["prepare"].factorisations == 0
    assert pre["step"].factorisations == 2 * (hidden + pinv(12, n).factorisations)

    released = counted([20, 16, 12, 5], n, published=True)
    assert released["prepare"].factorisations == inputs + hidden
    assert released["step"].factorisations == pre["step"].factorisations

    act = counted([20, 16, 12, 5], n, acts_on="activations")
    solves = solve(16, 12).factorisations + solve(12, 5).factorisations
    assert act["prepare"].factorisations == inputs
    assert act["step"].factorisations == 2 * hidden + solves

    biased = counted([20, 16, 12, 5], n, bias=True, acts_on="activations")
    assert biased["prepare"].factorisations == pinv(21, n).factorisations


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("acts_on", ACTIONS)
def test_a_step_grows_linearly_with_depth(acts_on: str, published: bool) -> None:
    options = {"acts_on": acts_on, "published": published}
    steps = [counted([10, *[64] * l, 5], 8, **options)["step"] for l in range(3, 7)]  # noqa: E741

    growth = {
        (later.products - earlier.products, later.factorisations - earlier.factorisations)
        for earlier, later in pairwise(steps)
    }
    assert len(growth) == 1


def test_a_step_grows_with_the_cube_of_the_width() -> None:
    """g V is [d, d] times [d, d]; g has no use for n."""
    for options in ({}, {"acts_on": "activations"}):
        steps = [counted([d] * 5, 8, **options)["step"] for d in (20_000, 40_000)]

        assert steps[1].products / steps[0].products == pytest.approx(8, rel=1e-2)
