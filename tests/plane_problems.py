"""Functions of a few numbers as problems, and calls on them."""

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.test_functions import PlanePoint
from teleport_core import Problem, TeleportResult, teleport


def problem_at(f: Callable[[Tensor], Tensor], start: tuple[float, ...]) -> Problem:
    """A function of one's own, in float64."""
    nothing = torch.zeros(1, dtype=torch.float64)
    return Problem(PlanePoint(start), lambda point, _: f(point), nothing, nothing)  # type: ignore[arg-type]


def run(problem: Problem, method: str = "level_set", **options: object) -> TeleportResult:
    batch = (problem.inputs, problem.targets)
    return teleport(problem.model, problem.loss_fn, batch, method=method, **options)


def point_of(problem: Problem) -> Tensor:
    return problem.detached()["point"].clone()


def descended(problem: Problem, lr: float) -> list[float]:
    """The point after one gradient step."""
    (gradient,) = torch.autograd.grad(problem.loss(), [problem.parameters()["point"]])
    return (point_of(problem) - lr * gradient).tolist()
