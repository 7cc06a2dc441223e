"""Refuse, before anything is timed or moved, what a teleport would get wrong."""

import math
from typing import Any

import torch
from torch import Tensor

from teleport_core.errors import ModelError, ProblemError
from teleport_core.forward.generators import Generators, generators_of
from teleport_core.problem import Parameters, Problem
from teleport_core.verification.evaluation import evaluated, not_finite
from teleport_core.verification.model_checks import (
    check_model,
    check_surroundings,
    require_finite_parameters,
)
from teleport_core.verification.randomness import refuse_randomness
from teleport_core.verification.reference import Look, look

# Two evaluations of a deterministic loss differ by reduction order at most.
_REPEAT_TOLERANCE_EPS = 64


def require_pair(batch: Any) -> Any:
    """Refuse a batch that is not inputs and targets."""
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ProblemError("expected batch to be a pair (inputs, targets)")
    return batch


def check_problem(problem: Problem) -> float:
    """Refuse a problem that no method can work on; return its loss.

    Raises:
        ModelError: no floating parameter to move, parameters that overlap, active dropout, a loss
            that changes between two calls, a call under autocast or inference mode.
        ProblemError: an empty output, shapes or labels that do not fit, a loss that is not a finite
            scalar.
    """
    check_without_running(problem)
    generators = generators_of(problem)
    try:
        return check_by_running(problem, generators)
    finally:
        generators.put_back()


def check_without_running(problem: Problem) -> None:
    """The part of ``check_problem`` that does not run the model."""
    check_model(problem.model)
    check_surroundings(problem)


def first_look(problem: Problem, generators: Generators, *, gradient: bool) -> Look:
    """Look at the model, and refuse what ``check_problem`` refuses.

    One pass tells by the states of the generators alone that another gives the same; a model that
    remembers its passes is left to ``require_repeatable``.
    """
    require_tensors(problem)

    def evaluate(problem: Problem, parameters: Parameters | None) -> tuple[Any, Tensor]:
        output, loss = evaluated(problem, parameters)
        if generators.moved():
            _refuse_draws(problem, generators, float(loss.detach()))
        return output, loss

    return look(problem, gradient=gradient, evaluate=evaluate)


def check_by_running(problem: Problem, generators: Generators) -> float:
    """The part of ``check_problem`` that runs model and loss, twice; returns the loss."""
    require_tensors(problem)
    with torch.no_grad():
        first = float(evaluated(problem)[1])
        _refuse_draws(problem, generators, first)
    return first


def require_repeatable(problem: Problem, loss: float) -> None:
    """Refuse a model or a loss that gives something else than ``loss`` when it is run again.

    Raises:
        ModelError: see there.
    """
    _require_same(problem, loss, problem.total(float(evaluated(problem)[1].detach())))


def same_loss(problem: Problem, one: float, other: float) -> bool:
    """Whether two losses of one point differ by the order of sums at most; NaN is no loss."""
    eps = max(torch.finfo(p.dtype).eps for p in problem.parameters().values())
    return abs(one - other) <= _REPEAT_TOLERANCE_EPS * eps * max(abs(one), abs(other))


def _refuse_draws(problem: Problem, generators: Generators, loss: float) -> None:
    """Run once more, after a pass that gave ``loss``."""
    # A pass that seeds, or draws once and keeps what it drew, ends where the first did.
    between = generators.now()
    again = float(evaluated(problem)[1].detach())
    with torch.no_grad():
        refuse_randomness(problem, between)
    _require_same(problem, loss, again)


def _require_same(problem: Problem, loss: float, again: float) -> None:
    if not same_loss(problem, loss, again):
        raise ModelError(
            f"expected a loss that depends on the parameters alone; two calls gave {loss!r} and "
            f"{again!r}: have the model forget what it saw before"
        )


def require_tensors(problem: Problem) -> None:
    """Refuse inputs that hold nothing to compute with."""
    if not problem.tensors():
        raise ProblemError(
            f"expected inputs to hold at least one tensor; got {type(problem.inputs).__name__}"
        )


def require_finite(problem: Problem, grad_norm_sq: float) -> None:
    """Refuse a batch on which the model's gradient is not finite though its loss is.

    Raises:
        ProblemError: see there.
    """
    if math.isfinite(grad_norm_sq):
        return
    require_finite_parameters(problem.parameters())
    # A gradient that the model itself makes infinite is a status of the result.
    if not_finite(problem):
        raise ProblemError(
            f"expected a finite gradient on the teleport batch; got ||g||^2 = {grad_norm_sq}"
            f"{not_finite(problem)}"
        )
