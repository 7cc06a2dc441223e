"""What a point is worth: its loss and gradient norm, by real passes through the model."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from teleport_core.ascent import all_finite
from teleport_core.norms import squared_norm
from teleport_core.objectives.goal import Goal
from teleport_core.objectives.gradient import gradient_at, gradient_of
from teleport_core.phases import FORWARD
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Status


class Visited(NamedTuple):
    """What was found out at a point."""

    loss: float
    grad_norm_sq: float


Allowed = Callable[[float], bool]
"""Whether a loss may be reached."""


def anything(loss: float) -> bool:
    """Every loss may be reached."""
    del loss
    return True


def within(loss: float, max_drift: float) -> Allowed:
    """Losses that differ from ``loss`` by no more than the share ``max_drift`` of it."""
    return lambda other: abs(other - loss) <= max_drift * abs(loss)


def visit(
    problem: Problem, parameters: Parameters, allowed: Allowed = anything
) -> Visited | Status:
    """Loss and ||g||^2, or why the point is refused: NON_FINITE or DRIFTED."""
    counted = problem.counted()
    with torch.enable_grad():
        leaves = problem.leaves(parameters)
        with FORWARD:
            loss = problem.loss(leaves)
            value = float(loss.detach())
        if not (math.isfinite(value) and all_finite(parameters)):
            return Status.NON_FINITE
        if not allowed(value):
            return Status.DRIFTED
        gradient = gradient_of(loss, leaves, counted, differentiable=False)
        norm_sq = float(squared_norm(gradient.values()))
    return Visited(value, norm_sq) if math.isfinite(norm_sq) else Status.NON_FINITE


def objective_at(problem: Problem, goal: Goal) -> float:
    """The objective at the model's own parameters."""
    parameters = problem.detached()
    with torch.enable_grad():
        leaves = problem.leaves(parameters)
        if goal.of_parameters is not None:
            return float(goal.of_parameters.value(problem, leaves).detach())
        _, gradient = gradient_at(problem, leaves, problem.counted(), differentiable=False)
        return goal.look(gradient, parameters)[0]
