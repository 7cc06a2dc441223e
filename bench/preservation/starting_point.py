"""A problem at its starting point, and calls of a method from there."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from bench.problems.build import Built
from bench.timing.start import copy_of, restore
from teleport_core import Problem, Teleporter, TeleportResult
from teleport_core.nullspace.bases.bounds import LayerInputs, layer_inputs
from teleport_core.verification.problem_checks import check_problem

_TRAINING_STEPS = 200
_TRAINING_LR = 0.1


@dataclass
class Subject:
    """A problem at its starting point, with everything that is measured on it."""

    problem: Problem
    built: Built
    start: dict[str, Tensor]

    def reset(self) -> None:
        """Go back to the starting point."""
        restore(self.problem.model, self.start)

    @cached_property
    def inputs(self) -> list[LayerInputs]:
        """The inputs of every movable layer at the starting point, in order of first use."""
        self.reset()
        return layer_inputs(self.problem, 1.0)

    def dtype_of(self, layer: LayerInputs) -> torch.dtype:
        """The type of a layer's weight."""
        return self.start[layer.weight].dtype


def subject(built: Built, start: str) -> Subject:
    """A subject at the initial weights, or after a short training on the point's batches."""
    inputs, targets = built.batches[0]
    problem = Problem(built.model, built.loss_fn, inputs, targets)
    check_problem(problem)
    if start == "trained":
        _train(built)
    return Subject(problem, built, copy_of(built.model))


def _train(built: Built) -> None:
    optimizer = torch.optim.SGD(built.model.parameters(), lr=_TRAINING_LR)
    for step in range(_TRAINING_STEPS):
        inputs, targets = built.batches[step % len(built.batches)]
        optimizer.zero_grad()
        Problem(built.model, built.loss_fn, inputs, targets).loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    optimizer.zero_grad()


def advance(where: Subject, method: Teleporter, steps: int, **options: Any) -> TeleportResult:
    """One call from the starting point; the model is left where it ended."""
    where.reset()
    method = replace(method, steps=steps, **options)
    return method.advance(where.problem, method.prepare(where.problem))


def walk(where: Subject, method: Teleporter, steps: int) -> Iterator[TeleportResult]:
    """The result after each step; the model is at the point in question.

    Each point is reached by one call from the start, so that a basis is as old as it is in use,
    whatever the method keeps between its steps. A method that keeps nothing is prepared once and
    advanced a step at a time, which is the same and takes a fifth of the time.
    """
    if method.steps_are_one_call:
        yield from (advance(where, method, step) for step in range(1, steps + 1))
        return
    where.reset()
    method = replace(method, steps=1)
    state = method.prepare(where.problem)
    for step in range(1, steps + 1):
        result = method.advance(where.problem, state)
        yield replace(result, steps_done=step - 1 + result.steps_done)


def at_threshold(method: Teleporter, value: float) -> Teleporter:
    """The method at a threshold; the same where it has none, or chooses its own."""
    if method.threshold is None or method.chooses_threshold:
        return method
    option: dict[str, Any] = {method.threshold: value}
    return replace(method, **option)
