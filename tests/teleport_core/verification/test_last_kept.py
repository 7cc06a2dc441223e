"""A wrecked model is never handed back: a call ends at the last point that keeps its promise."""

import importlib
import math
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from deceiving_models import Forces, overflowing
from oracles import identical, snapshot
from small_problems import CASES, classification, regression
from torch import nn
from torch.nn import functional as F

from teleport_core import (
    Guarantee,
    Problem,
    Status,
    Teleporter,
    TeleportResult,
    TeleportWarning,
    teleport,
)


def run(problem: Problem, **options: Any) -> TeleportResult:
    return teleport(problem.model, problem.loss_fn, (problem.inputs, problem.targets), **options)


def convolutions() -> Problem:
    torch.manual_seed(0)
    blocks = [
        layer
        for pair in ((3, 16), (16, 32))
        for layer in (nn.Conv2d(*pair, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    ]
    head = [nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 5)]
    model = nn.Sequential(*blocks, *head).double()
    return Problem(model, F.cross_entropy, torch.randn(2, 3, 16, 16).double(), torch.tensor([1, 2]))


def relu() -> Problem:
    return classification([20, 16, 12, 5], 8)


def leaky() -> Problem:
    return classification([20, 16, 12, 5], 8, nn.LeakyReLU)


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (convolutions, {"lr": 1.0, "steps": 4}),
        (relu, {"lr": 1.0, "steps": 8}),
        (relu, {"lr": 1.0, "steps": 8, "engine": "textbook"}),
        (relu, {"lr": 1.0, "steps": 8, "overshoot": False, "cap": 1e90}),
        (CASES["residual-batchnorm"].build, {"lr": 0.1, "steps": 8}),
        (leaky, {"method": "symmetry", "acts_on": "activations", "lr": 3.0, "steps": 8}),
    ],
)
def test_steps_that_changed_outputs_are_taken_back(build: Any, options: dict[str, Any]) -> None:
    problem, replay = build(), build()

    with pytest.warns(TeleportWarning, match="that step was taken back") as caught:
        result = run(problem, **options)

    assert len(caught) == 1
    assert result.status is Status.OUTPUTS_CHANGED
    assert result.guarantee is Guarantee.EXACT_ON_BATCH
    assert result.output_change < 2e-4
    kept = result.steps_done
    assert 0 < kept < options["steps"]
    assert f"{kept} of " in str(caught[0].message)
    assert len(result.loss) == len(result.grad_norm_sq) == kept + 1
    assert result.loss[-1] == pytest.approx(result.loss[0], rel=1e-4)
    expected = run(replay, **options | {"steps": kept})
    assert expected.status is Status.DONE
    assert identical(replay, snapshot(problem))
    assert result.grad_norm_sq == expected.grad_norm_sq
    with pytest.warns(TeleportWarning):  # it was the last that keeps them
        run(build(), **options | {"steps": kept + 1})


@pytest.mark.parametrize("engine", ["textbook", "half_hvp"])
@pytest.mark.parametrize("finite", [0, 1, 3])
def test_steps_that_diverge_are_taken_back(finite: int, engine: str) -> None:
    """Those whose point the method itself does not visit."""
    options = {"lr": 1.0, "engine": engine}
    problem = overflowing(regression([6, 9, 9, 2], 4, nn.Softplus), finite, **options)
    replay = regression([6, 9, 9, 2], 4, nn.Softplus)

    result = run(problem, steps=finite + 3, **options)

    assert (result.status, result.steps_done) == (Status.NON_FINITE, finite)
    assert len(result.loss) == len(result.grad_norm_sq) == finite + 1
    assert all(math.isfinite(value) for value in result.grad_norm_sq)
    assert math.isfinite(result.loss[-1])
    if finite:
        run(replay, steps=finite, **options)
    assert identical(problem, snapshot(replay))


@pytest.mark.parametrize("engine", ["textbook", "half_hvp"])
def test_a_step_to_infinity_is_no_step(engine: str) -> None:
    problem = regression([6, 9, 9, 2], 4, nn.Softplus)
    before = snapshot(problem)

    result = run(problem, lr=1e200, engine=engine)

    assert (result.status, result.steps_done) == (Status.NON_FINITE, 0)
    assert identical(problem, before)


@pytest.mark.parametrize(
    "options", [{"tau": 0.5}, {"method": "symmetry", "acts_on": "activations", "published": True}]
)
def test_a_call_that_promises_less_is_held_to_less(options: dict[str, Any]) -> None:
    problem = classification([20, 16, 12, 5], 8, nn.LeakyReLU, bias=False)

    result = run(problem, lr=0.1, steps=4, **options)

    assert (result.status, result.steps_done) == (Status.DONE, 4)
    assert result.guarantee in (Guarantee.APPROXIMATE, Guarantee.FIRST_ORDER)
    assert result.output_change > 1e-6


def test_who_said_how_much_may_change_is_told_and_keeps_the_steps() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(5, 6).double()
    problem = Problem(Forces().double(), lambda o, _: o.square().mean() + 1, inputs, None)
    before = snapshot(problem)

    with pytest.warns(TeleportWarning, match="the result is marked APPROXIMATE"):
        result = run(problem, max_drift=1e-6, lr=0.01, steps=3)

    assert result.guarantee is Guarantee.APPROXIMATE
    assert result.steps_done
    assert not identical(problem, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("lr", [0.3, 1.0])
def test_few_digits_are_no_excuse(lr: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    body = [nn.Linear(48, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5)]
    model, inputs = nn.Sequential(*body).to(dtype), torch.randn(2, 48).to(dtype)
    problem = Problem(model, F.cross_entropy, inputs, torch.tensor([1, 2]))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TeleportWarning)
        result = run(problem, lr=lr, steps=6)

    assert result.status in (Status.OUTPUTS_CHANGED, Status.NON_FINITE)
    assert result.output_change < torch.finfo(dtype).eps ** 0.25


@dataclass(frozen=True, kw_only=True)
class Doubling(Teleporter):
    """Doubles a weight a step, keeps nothing and promises everything."""

    name: ClassVar[str] = "doubling"

    def prepare(self, problem: Problem) -> None:
        del problem

    def advance(self, problem: Problem, state: None) -> TeleportResult:
        del state
        (name, weight), *_ = problem.copy().items()
        problem.write({name: weight * 2.0**self.steps})
        unknown = [math.nan] * (self.steps + 1)
        return TeleportResult(
            Status.DONE, self.steps, unknown, [*unknown], {}, Guarantee.EXACT_EVERYWHERE
        )


def test_a_method_that_keeps_no_start_is_taken_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("teleport_core.teleport")
    monkeypatch.setattr(module, "make", lambda _, **options: Doubling(**options))
    problem = relu()
    before = snapshot(problem)

    with pytest.warns(TeleportWarning, match="taken back, 0 of 3 are kept"):
        result = run(problem, steps=3)

    assert (result.status, result.steps_done) == (Status.OUTPUTS_CHANGED, 0)
    assert identical(problem, before)
