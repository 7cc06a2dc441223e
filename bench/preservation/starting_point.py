"""A problem at its starting point, and calls of a method from there."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.problems.build import Built
from bench.spec.variants import Variant
from bench.timing.rounds import restore

if TYPE_CHECKING:
    import torch

    from teleport_core import Problem, TeleportResult
    from teleport_core.nullspace.bases.bounds import LayerInputs

_TRAINING_STEPS = 200
_TRAINING_LR = 0.1


@dataclass
class Subject:
    """A problem at its starting point, with everything that is measured on it."""

    problem: "Problem"
    built: Built
    start: dict[str, "torch.Tensor"]

    def reset(self) -> None:
        """Go back to the starting point."""
        restore(self.problem.model, self.start)

    @cached_property
    def inputs(self) -> "list[LayerInputs]":
        """The inputs of every movable layer at the starting point, in order of first use."""
        from teleport_core.nullspace.bases.bounds import layer_inputs

        self.reset()
        return layer_inputs(self.problem, 1.0)

    def dtype_of(self, layer: "LayerInputs") -> "torch.dtype":
        """The type of a layer's weight."""
        return self.start[layer.weight].dtype


def subject(built: Built, start: str) -> Subject:
    """A subject at the initial weights, or after a short training on the point's batches."""
    from teleport_core import Problem
    from teleport_core.verification.problem_checks import check_problem

    inputs, targets = built.batches[0]
    problem = Problem(built.model, built.loss_fn, inputs, targets)
    check_problem(problem)
    if start == "trained":
        _train(built)
    values = {name: v.detach().clone() for name, v in built.model.state_dict().items()}
    return Subject(problem, built, values)


def _train(built: Built) -> None:
    import torch

    from teleport_core import Problem

    optimizer = torch.optim.SGD(built.model.parameters(), lr=_TRAINING_LR)
    for step in range(_TRAINING_STEPS):
        inputs, targets = built.batches[step % len(built.batches)]
        optimizer.zero_grad()
        Problem(built.model, built.loss_fn, inputs, targets).loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    optimizer.zero_grad()


def advance(where: Subject, variant: Variant, steps: int, **options: Any) -> "TeleportResult":
    """One call from the starting point; the model is left where it ended."""
    from teleport_core import make

    where.reset()
    teleporter = make(variant.method, **{**variant.options, **options, "steps": steps})
    return teleporter.advance(where.problem, teleporter.prepare(where.problem))


def walk(
    where: Subject, variant: Variant, steps: int, **options: Any
) -> Iterator["TeleportResult"]:
    """The result after each step; the model is at the point in question.

    Each point is reached by one call from the start, so that a basis is as old as it is in use,
    whatever the method keeps between its steps. Below tau = 1 it keeps nothing but bases: it is
    prepared once and advanced a step at a time, which is the same and takes a fifth of the time.
    With ``max_drift`` and ``overshoot=False`` a call is one thing: the points are the ends of calls
    with so many steps each.
    """
    from teleport_core import make

    if _is_one_call({**variant.options, **options}):
        yield from (advance(where, variant, step, **options) for step in range(1, steps + 1))
        return
    where.reset()
    teleporter = make(variant.method, **{**variant.options, **options, "steps": 1})
    state = teleporter.prepare(where.problem)
    for step in range(1, steps + 1):
        result = teleporter.advance(where.problem, state)
        yield replace(result, steps_done=step - 1 + result.steps_done)


def _is_one_call(options: dict[str, Any]) -> bool:
    """Whether steps taken in calls of their own would end elsewhere."""
    # max_drift leaves no other tau.
    return options.get("tau", 1.0) == 1.0 or not options.get("overshoot", True)


def takes_tau(variant: Variant) -> bool:
    """Whether the method has the option ``tau``, and nothing in its place."""
    return knows_tau(variant) and "max_drift" not in variant.options


def knows_tau(variant: Variant) -> bool:
    """Whether the method has the option ``tau``."""
    from dataclasses import fields

    from teleport_core.registry import method_class

    return "tau" in {f.name for f in fields(method_class(variant.method))}
