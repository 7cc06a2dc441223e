"""Gradient descent on a loss of two parameters, with teleports, and the loss around its path."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from teleport_core import Problem
from teleport_core.errors import ModelError

# Armijo's condition, as in the experiments of Mishkin et al. (2024).
_SHARE = 0.5
_SHRINK = 0.8
_MOST_TRIALS = 200

_GRID = 61  # values along each side
_MARGIN = 0.25  # of the extent of the paths, on each side


class Rule(NamedTuple):
    """The descent: see the settings of ``bench.measurements.descents``."""

    lr: float
    steps: int
    at: Sequence[int]
    search: bool


class Plane:
    """A model of two parameters as a point of the plane.

    Raises:
        ModelError: more or fewer than two trainable numbers.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.parameters = [p for p in problem.model.parameters() if p.requires_grad]
        count = sum(p.numel() for p in self.parameters)
        if count != 2:
            raise ModelError(
                f"expected a model of two trainable numbers to draw its descents; got {count}: "
                "leave [descents] out"
            )

    def at(self) -> Tensor:
        """The point [2] where the model is now."""
        return parameters_to_vector(self.parameters).detach().clone()

    def go(self, point: Tensor) -> None:
        """Move the model to a point [2]."""
        with torch.no_grad():
            vector_to_parameters(point, self.parameters)

    def look(self) -> tuple[float, Tensor]:
        """The loss here and its gradient [2]."""
        loss = self.problem.loss()
        gradient = torch.autograd.grad(loss, self.parameters)
        return float(loss.detach()), parameters_to_vector(gradient)

    def value(self, point: Tensor) -> float:
        """The loss at a point [2], to which the model moves."""
        self.go(point)
        with torch.no_grad():
            return float(self.problem.loss())


def descend(
    plane: Plane, rule: Rule, teleport: Callable[[], object] | None = None
) -> list[dict[str, Any]]:
    """Every point with its loss and ||g||^2, as a ``Visit`` has them.

    It ends early where the loss is not finite.
    """
    visits: list[dict[str, Any]] = []

    def visit(step: int, *, teleported: bool = False) -> tuple[float, Tensor]:
        loss, gradient = plane.look()
        x, y = plane.at().tolist()
        norm_sq = float(gradient.square().sum())
        seen = {"x": x, "y": y, "loss": finite(loss), "grad_norm_sq": finite(norm_sq)}
        visits.append({"step": step, "teleported": teleported, **seen})
        return loss, gradient

    for step in range(rule.steps):
        loss, gradient = visit(step)
        if teleport is not None and step in rule.at:
            teleport()
            loss, gradient = visit(step, teleported=True)
        if not math.isfinite(loss + float(gradient.sum())):
            return visits
        _step(plane, rule, loss, gradient)
    visit(rule.steps)
    return visits


def _step(plane: Plane, rule: Rule, loss: float, gradient: Tensor) -> None:
    """One gradient step, as long as the rule says."""
    start, lr = plane.at(), rule.lr
    norm_sq = float(gradient.square().sum())
    for _ in range(_MOST_TRIALS if rule.search else 1):
        reached = plane.value(start - lr * gradient)
        if reached <= loss - _SHARE * lr * norm_sq:
            return
        lr *= _SHRINK
    if rule.search:
        plane.go(start)  # no step is short enough: it is there


def landscape(plane: Plane, points: Iterable[tuple[float, float]]) -> dict[str, Any]:
    """The loss on a grid around points, as a ``LandscapeRecord`` has it; the model stays."""
    start = plane.at()
    known = [point for point in points if all(map(math.isfinite, point))]
    x, y = (_side([point[axis] for point in known]) for axis in (0, 1))
    grid = [[start.new_tensor([right, up]) for right in x] for up in y]
    values = [[finite(plane.value(point)) for point in row] for row in grid]
    plane.go(start)
    return {"x": x, "y": y, "values": values}


def _side(values: Sequence[float]) -> list[float]:
    """Coordinates along one side of the grid; a point of no extent has 1 on each side."""
    low, high = min(values), max(values)
    margin = _MARGIN * (high - low) or 1.0
    return torch.linspace(low - margin, high + margin, _GRID, dtype=torch.float64).tolist()


def finite(value: float) -> float | None:
    """A number, or None for what is none."""
    return value if math.isfinite(value) else None
