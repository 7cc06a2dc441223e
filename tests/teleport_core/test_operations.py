"""The closed forms against torch's own counter on real calls; products agree to the last one."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch
from flop_counting import flops, measured
from small_problems import classification
from torch import nn

from baselines.identity import IdentityTeleporter
from bench.costs.closed_forms import Shape, phases_of
from teleport_core import Problem, Status, make
from teleport_core.interface import Teleporter
from teleport_core.operations import NOTHING, Operations, eigh, pinv, product, solve, svd
from teleport_core.products import gains

WIDTHS = [[9, 13, 11], [20, 16, 12, 5], [7, 11, 13, 17, 4], [10, 14, 12, 12, 15, 6]]


def leaky() -> nn.Module:
    return nn.LeakyReLU(0.1)


def counted(widths: list[int], n: int, bias: bool, itemsize: int = 8, **options: Any) -> Any:
    return make("nullspace", **options).operations(widths, n, bias=bias, itemsize=itemsize)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("n", [3, 8, 10])  # wider and narrower than the last layer
def test_half_hvp(widths: list[int], n: int, bias: bool, dtype: torch.dtype) -> None:
    def build() -> Problem:
        return classification(widths, n, leaky, bias=bias, dtype=dtype)

    found = measured(build, "nullspace", engine="half_hvp")

    phases = counted(widths, n, bias, dtype.itemsize, engine="half_hvp")
    assert found.once == phases["prepare"].products
    assert found.steps == [phases["step"].products] * 2


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("widths", "n"),
    [
        ([5, 6, 14, 12, 3], 12),  # layers 2 and 4 are full, 2 * in == n for layer 2
        ([4, 5, 30, 7, 9], 20),  # layer 4 is full, by way of X in layers 1, 2 and 4
        ([4, 40, 3], 12),  # layer 1 by way of X
        ([40, 64, 6, 30, 7], 13),  # layer 3 is full and by way of X, the last is thin
        ([6, 300, 11], 256),  # D R{X}^T is projected
    ],
)
def test_half_hvp_with_full_layers_and_more_samples_than_inputs(
    widths: list[int], n: int, bias: bool
) -> None:
    found = measured(lambda: classification(widths, n, leaky, bias=bias), "nullspace")

    phases = counted(widths, n, bias)
    assert found.once == phases["prepare"].products
    assert found.steps == [phases["step"].products] * 2


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("widths", "n"), [([6, 600, 600, 5], 40), ([6, 300, 300, 5], 140)])
def test_half_hvp_by_onednn(widths: list[int], n: int, bias: bool) -> None:
    def build() -> Problem:
        return classification(widths, n, leaky, bias=bias, dtype=torch.float32)

    found = measured(build, "nullspace")

    assert gains(n, torch.zeros(widths[1], widths[2]))
    phases = counted(widths, n, bias, torch.float32.itemsize)
    assert found.once == phases["prepare"].products
    assert found.steps == [phases["step"].products] * 2


@pytest.mark.parametrize(("widths", "n"), [([30, 4], 3), ([30, 4], 25), ([30, 12, 8, 4], 25)])
def test_half_hvp_takes_no_step_where_nothing_moves(widths: list[int], n: int) -> None:
    """Depth one, and more samples than widths."""
    problem = classification(widths, n, leaky, bias=False)
    teleporter = make("nullspace")
    states: list[Any] = []
    done: list[Any] = []

    prepare = flops(lambda: states.append(teleporter.prepare(problem)))
    advance = flops(lambda: done.append(teleporter.advance(problem, states[0])))

    phases = counted(widths, n, bias=False)
    assert done[0].status is Status.NO_ASCENT_DIRECTION
    assert prepare == phases["prepare"].products
    assert advance == 0
    assert phases["step"] == NOTHING


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("n", [3, 10])
def test_textbook(widths: list[int], n: int, bias: bool) -> None:
    found = measured(
        lambda: classification(widths, n, leaky, bias=bias), "nullspace", engine="textbook"
    )

    phases = counted(widths, n, bias, engine="textbook")
    assert found.once == phases["prepare"].products
    assert found.steps == [phases["step"].products] * 2


@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU, nn.Identity])
@pytest.mark.parametrize("engine", ["half_hvp", "textbook"])
def test_the_activation_adds_no_product(activation: type[nn.Module], engine: str) -> None:
    widths, n = [20, 16, 12, 5], 8

    found = measured(lambda: classification(widths, n, activation), "nullspace", engine=engine)

    phases = counted(widths, n, True, engine=engine)
    assert found == (phases["prepare"].products, [phases["step"].products] * 2)


@pytest.mark.parametrize("widths", [[6, 4], [9, 7, 4]])
def test_textbook_where_nothing_moves_looks_once(widths: list[int]) -> None:
    problem = classification(widths, 12, leaky)
    teleporter = make("nullspace", engine="textbook")
    state = teleporter.prepare(problem)
    done: list[Any] = []

    found = flops(lambda: done.append(teleporter.advance(problem, state)))

    steps = 1 if done[0].status is Status.NO_ASCENT_DIRECTION else 0
    assert found == steps * counted(widths, 12, bias=True, engine="textbook")["step"].products


@pytest.mark.parametrize(
    ("options", "engine"),
    [
        ({}, "half_hvp"),
        ({"tau": 1.0, "engine": "auto"}, "half_hvp"),
        ({"tau": 0.9}, "textbook"),
        ({"rank_rule": "energy"}, "textbook"),
        ({"engine": "textbook"}, "textbook"),
    ],
)
def test_the_engine_that_the_options_choose_is_counted(
    options: dict[str, Any], engine: str
) -> None:
    widths = [20, 16, 12, 5]

    assert counted(widths, 8, True, **options) == counted(widths, 8, True, engine=engine)


def test_identity_does_nothing() -> None:
    kept = {"prepare": NOTHING, "step": NOTHING}

    assert make("identity").operations([4, 4, 4], 3, bias=False, itemsize=4) == kept


@dataclass(frozen=True, kw_only=True)
class Silent(IdentityTeleporter):
    """A method that does not say what it does."""

    operations = Teleporter.operations


def test_a_method_that_does_not_say_has_no_counts() -> None:
    assert Silent().operations([4, 4, 4], 3, bias=False, itemsize=4) is None


@pytest.mark.parametrize("engine", ["half_hvp", "textbook"])
def test_a_step_grows_linearly_with_depth(engine: str) -> None:
    """From the third layer on every hidden layer costs the same."""
    steps = [counted([10, *[64] * l, 5], 8, True, engine=engine)["step"] for l in range(3, 7)]  # noqa: E741

    growth = [
        (later.products - earlier.products, later.bytes - earlier.bytes)
        for earlier, later in pairwise(steps)
    ]
    assert len(set(growth)) == 1
    assert min(growth[0]) > 0


def test_leading_costs_of_wide_layers() -> None:
    """Products of W alone, for three layers with n << d: what is left of the formulas."""
    widths, n = [100_000] * 4, 8
    weight = product(100_000, 100_000, n, 4).products
    sgd = phases_of("sgd", Shape(tuple(widths), n, False, 4))
    fast = counted(widths, n, False, 4, engine="half_hvp")["step"].products
    slow = counted(widths, n, False, 4, engine="textbook")["step"].products

    assert sgd is not None
    assert sgd["step"].products == (2 + 3 + 3) * weight
    # Down, up and update; the first layer has none of them, the last does not pass R{X} on.
    assert fast == pytest.approx((0 + 3 + 2) * weight, rel=1e-3)
    # H g and two products with a basis of n columns.
    assert slow == pytest.approx((4 + 9 + 9 + 3 * 2) * weight, rel=1e-3)


@pytest.mark.parametrize(
    ("cost", "power"),
    [
        (lambda k: svd(10**9, k), 2),
        (lambda k: svd(k, k), 3),
        (eigh, 3),
        (lambda k: pinv(10**9, k), 2),
        (lambda k: solve(10 * k, 1), 3),
        (lambda k: solve(100, k * 10**6), 1),
    ],
)
def test_growth_of_the_factorisations(cost: Any, power: int) -> None:
    ratio = cost(2000).factorisations / cost(1000).factorisations

    assert ratio == pytest.approx(2**power, rel=1e-3)
    assert cost(1000).products == 0


def test_a_factorisation_costs_the_same_transposed() -> None:
    assert svd(30, 7) == svd(7, 30)
    assert pinv(30, 7) == pinv(7, 30)


def test_sums_and_multiples() -> None:
    one = Operations(1, 10, 100)

    assert one + one * 2 == Operations(3, 30, 300)
    assert product(2, 3, 5, itemsize=4) == Operations(60, 0, 4 * (6 + 15 + 10))


def test_a_search_does_not_say_what_it_will_do() -> None:
    assert counted([8, 8, 4], 4, False, max_drift=0.1) is None
