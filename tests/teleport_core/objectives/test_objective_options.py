"""What cannot be climbed gets one sentence, and nothing moves."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import identical, snapshot
from small_problems import CASES
from torch import Tensor, nn, optim

from teleport_core import OptionError, Problem, TeleportError, available, make, teleport
from teleport_core.objectives import Curvature, Sharpness
from teleport_core.problem import Parameters


class Lion(optim.SGD):
    """An optimizer that nobody wrote down."""


class Constant:
    def value(self, problem: Problem, parameters: Parameters) -> Tensor:
        return torch.ones(())


def of_a_copy(problem: Problem) -> optim.Optimizer:
    return optim.Adam(copy.deepcopy(problem.model).parameters())


def logged(gradient: Parameters) -> Tensor:
    return (0 * next(iter(gradient.values())).sum()).log()


def infinite(gradient: Parameters) -> Tensor:
    return next(iter(gradient.values())).sum() * 1e308 * 1e308


REFUSED: dict[str, tuple[Callable[[Problem], Any], dict[str, Any], str]] = {
    "unknown": (lambda p: "l3", {}, "one of l2, l1, nuclear, an optimizer of torch, a function"),
    "number": (lambda p: 3, {}, "got 3"),
    "nothing": (lambda p: None, {}, "got None"),
    "class": (lambda p: Sharpness, {}, "got <class"),
    "unknown optimizer": (
        lambda p: Lion(p.model.parameters(), lr=0.1),
        {},
        "one of SGD, Adagrad, RMSprop, Adam, AdamW.* of torch.optim; got Lion: use",
    ),
    "averaging": (lambda p: optim.ASGD(p.model.parameters()), {}, "got ASGD"),
    "of another model": (of_a_copy, {}, "Adam holds none of its parameters: make it from"),
    "vector": (
        lambda p: lambda g: torch.stack([x.sum() for x in g.values()]),
        {},
        r"expected the objective to return a scalar tensor .*got a tensor of shape \[6\]",
    ),
    "no tensor": (lambda p: lambda g: 1.0, {}, "got float"),
    "whole number": (lambda p: lambda g: torch.tensor(3), {}, "and torch.int64"),
    "detached": (
        lambda p: lambda g: next(iter(g.values())).detach().sum(),
        {},
        "one that does not depend on the gradients",
    ),
    "NaN": (lambda p: lambda g: logged(g) - logged(g), {}, "finite number at the start; got nan"),
    "infinite": (lambda p: infinite, {}, "finite number at the start; got -?inf"),
    "sideways": (lambda p: "l1", {"direction": "sideways"}, "direction to be one of up, down"),
    "constant": (lambda p: Constant(), {}, "one that does not depend on the parameters"),
    "max_drift": (
        lambda p: "l1",
        {"max_drift": 0.1},
        "objective='l2' and direction='up'",
    ),
    "down and max_drift": (
        lambda p: "l2",
        {"direction": "down", "max_drift": 1},
        "'down': leave",
    ),
    "growth of 1": (lambda p: "l1", {"growth": 1}, "expected growth to be a finite number > 1"),
    "growth and lr": (lambda p: "l1", {"growth": 2, "lr": 0.1}, "expected growth without lr"),
    "fast": (
        lambda p: Sharpness(),
        {"engine": "half_hvp"},
        "'auto' or 'textbook' for",
    ),
    "published": (
        lambda p: "l1",
        {"method": "symmetry", "published": True},
        "for these options of symmetry, which climb",
    ),
    "published down": (
        lambda p: "l2",
        {"method": "symmetry", "published": True, "direction": "down"},
        "for these options of symmetry, which climb",
    ),
    "orbits": (
        lambda p: Curvature(),
        {"method": "symmetry"},
        "function of the gradient for symmetry; got Curvature",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
@pytest.mark.parametrize("net", ["leaky-no-bias", "residual-batchnorm"])
def test_bad_input_is_refused_in_a_sentence_and_nothing_moves(name: str, net: str) -> None:
    build, options, text = REFUSED[name]
    problem = CASES["leaky-bias" if name == "vector" else net].build()
    before = snapshot(problem)
    batch = (problem.inputs, problem.targets)

    with pytest.raises(OptionError, match=text) as raised:
        teleport(problem.model, problem.loss_fn, batch, objective=build(problem), **options)

    assert "\n" not in str(raised.value)
    assert identical(problem, before)


@pytest.mark.parametrize("options", [{"objective": "l1"}, {"direction": "down"}])
def test_who_climbs_nothing_else_says_so(options: dict[str, Any]) -> None:
    for method in {*available()} - {"nullspace", "symmetry"}:
        with pytest.raises(OptionError, match=f"for these options of {method}, which climb"):
            make(method, **options)


@pytest.mark.parametrize("engine", ["auto", "textbook"])
@pytest.mark.parametrize("net", ["leaky-bias", "residual-batchnorm"])
def test_a_function_that_fails_leaves_everything_as_it_was(net: str, engine: str) -> None:
    problem = CASES[net].build()
    before, calls = snapshot(problem), []

    def fails_later(gradient: Parameters) -> Tensor:
        calls.append(None)
        if len(calls) == 3:
            raise KeyError("mine")
        return sum((x.abs().sum() for x in gradient.values()), torch.zeros(()))

    batch = (problem.inputs, problem.targets)
    with pytest.raises(KeyError, match="mine"):
        teleport(problem.model, problem.loss_fn, batch, objective=fails_later, engine=engine)

    assert len(calls) == 3
    assert identical(problem, before)


def test_the_function_gets_every_parameter_that_counts_by_name() -> None:
    problem = CASES["leaky-bias"].build()
    problem.model.register_parameter("idle", nn.Parameter(torch.ones(3, dtype=torch.float64)))
    problem.parameters()["4.bias"].requires_grad_(False)
    seen: list[dict[str, torch.Size]] = []

    def noted(gradient: Parameters) -> Tensor:
        seen.append({name: g.shape for name, g in gradient.items()})
        return sum((x.square().sum() for x in gradient.values()), torch.zeros(()))

    batch = (problem.inputs, problem.targets)
    for engine in ("half_hvp", "textbook"):
        teleport(problem.model, problem.loss_fn, batch, objective=noted, steps=1, engine=engine)

    expected = {n: p.shape for n, p in problem.parameters().items() if n != "4.bias"}
    assert {*expected} == {"idle", "0.weight", "0.bias", "2.weight", "2.bias", "4.weight"}
    assert all(shapes == expected for shapes in seen)


def test_operations_of_other_objectives_are_not_known() -> None:
    for method in ("nullspace", "symmetry"):
        for options in ({"objective": "l1"}, {"direction": "down"}):
            counted = make(method, **options).operations([4, 8, 2], 3, bias=True, itemsize=4)
            assert counted is None


@pytest.mark.parametrize(
    "wrong", [lambda: Sharpness(radii=(-1.0,)), lambda: Sharpness(radii=()),
              lambda: Sharpness(directions=0), lambda: Curvature(matrices=0)],
)  # fmt: skip
def test_settings_of_objectives_are_checked(wrong: Callable[[], object]) -> None:
    with pytest.raises(TeleportError, match="expected"):
        wrong()
