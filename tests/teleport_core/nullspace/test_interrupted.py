"""Wherever a call is interrupted, the model is bit for bit as it was."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from oracles import identical, snapshot
from small_problems import classification, residual
from torch import Tensor
from torch.nn import functional as F

import teleport_core
from teleport_core import Problem, teleport

OURS = tuple(
    str(Path(teleport_core.__file__).parents[1] / package) + "/"
    for package in ("teleport_core", "baselines")
)


def stack() -> Problem:
    return classification([6, 9, 9, 3], 4)


# How the call is made, and the net it is made on.
CALLS: dict[str, tuple[Callable[[], Problem], dict[str, Any]]] = {
    "fast": (stack, {}),
    "fast, shortened": (stack, {"cap": 0.9, "overshoot": False}),
    "any architecture": (residual, {}),
    "textbook": (stack, {"engine": "textbook"}),
    "max_drift": (stack, {"max_drift": 1e-3}),
    "symmetry": (stack, {"method": "symmetry", "lr": 1e-3}),
    "rescale": (stack, {"method": "rescale"}),
}


def run(problem: Problem, options: dict[str, Any]) -> None:
    batch = (problem.inputs, problem.targets)
    teleport(problem.model, problem.loss_fn, batch, **{"lr": 0.3, "steps": 2, **options})


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_at_every_call_of_the_loss(name: str, error: type[BaseException]) -> None:
    build, options = CALLS[name]
    calls, fatal = 0, 0

    def loss_fn(output: Tensor, targets: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == fatal:
            raise error
        return F.cross_entropy(output, targets)

    def attempt() -> tuple[Problem, bool]:
        problem = build()
        problem = Problem(problem.model, loss_fn, problem.inputs, problem.targets)
        before = snapshot(problem)
        run(problem, options)
        return problem, identical(problem, before)

    _, stayed = attempt()
    assert not stayed
    for fatal in range(1, calls + 1):
        calls = 0
        problem = build()
        before = snapshot(problem)
        failing = Problem(problem.model, loss_fn, problem.inputs, problem.targets)
        with pytest.raises((error, teleport_core.ProblemError)):
            run(failing, options)
        assert identical(problem, before), fatal


class Interrupt:
    """Raises at a line of ours, counted from the beginning of the call."""

    def __init__(self, at: int | None) -> None:
        self.lines, self._at = 0, at

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self._at:
                raise KeyboardInterrupt
        return self


def gradient_of(problem: Problem) -> list[Tensor]:
    return [*torch.autograd.grad(problem.loss(), list(problem.parameters().values()))]


def interrupted(name: str, at: int | None) -> tuple[int, bool]:
    """How many lines were run, and whether the model stayed as it was."""
    build, options = CALLS[name]
    problem = build()
    before, gradient = snapshot(problem), gradient_of(problem)
    trace, others = Interrupt(at), sys.gettrace()
    sys.settrace(trace)
    try:
        run(problem, options)
    except KeyboardInterrupt:
        assert trace.lines >= (at or 0)
    else:
        assert at is None
    finally:
        sys.settrace(others)
    # Whatever was hung on the parameters is gone.
    assert at is None or all(map(torch.equal, gradient, gradient_of(problem)))
    assert torch.is_grad_enabled()
    assert torch._C._len_torch_function_stack() == 0
    assert torch.backends.mha.get_fastpath_enabled()
    return trace.lines, identical(problem, before)


@pytest.mark.parametrize("name", list(CALLS))
def test_at_lines_all_over_the_call(name: str) -> None:
    check_lines(name, 701 if name == "max_drift" else 89)  # it runs eight times as many lines


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list(CALLS))
def test_at_every_line(name: str) -> None:
    check_lines(name, 97 if name == "max_drift" else 1)


def check_lines(name: str, every: int) -> None:
    interrupted(name, None)  # the first call imports modules
    lines, stayed = interrupted(name, None)
    assert not stayed
    assert lines > 500
    # The last ones, where everything has been written, always.
    places = {*range(1, lines + 1, every), *range(max(1, lines - 25), lines + 1)}
    moved = [at for at in sorted(places) if not interrupted(name, at)[1]]
    assert moved == []
