"""Gradient descent on a test function, with teleports before some of its steps."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from baselines.test_functions.model import problem_of
from teleport_core.teleport import teleport

Place = tuple[float, float]


class Descent(NamedTuple):
    """Where a descent went.

    Attributes:
        points: every point, in order; one more where there was a teleport.
        jumps: places in ``points`` from which a teleport led to the next.
        loss: before each step, after its teleport, as the released scripts of Zhao et al. note it.
        grad_norm_sq: likewise.
    """

    points: list[Place]
    jumps: list[int]
    loss: list[float]
    grad_norm_sq: list[float]


def descend(
    name: str,
    *,
    lr: float,
    steps: int,
    teleports: Mapping[int, Mapping[str, Any]] | None = None,
    start: Place | None = None,
) -> Descent:
    """Gradient descent from ``start``, by default from where the papers start.

    Args:
        name: one of ``FUNCTIONS``.
        lr: length of the steps.
        steps: how many.
        teleports: step, from 0, -> the arguments of the ``teleport`` before it, such as
            ``{4: {"method": "so2"}}``.
        start: (x, y).
    """
    problem = problem_of(name, start)
    point = problem.parameters()["point"]
    done = Descent([_place(point)], [], [], [])
    for step in range(steps):
        if teleports and step in teleports:
            batch = (problem.inputs, problem.targets)
            teleport(problem.model, problem.loss_fn, batch, **teleports[step])
            done.jumps.append(len(done.points) - 1)
            done.points.append(_place(point))
        with torch.enable_grad():
            loss = problem.loss()
            (gradient,) = torch.autograd.grad(loss, [point])
        done.loss.append(float(loss.detach()))
        done.grad_norm_sq.append(float(gradient.square().sum()))
        problem.write({"point": point.detach() - lr * gradient})
        done.points.append(_place(point))
    return done


def _place(point: torch.Tensor) -> Place:
    x, y = point.tolist()
    return x, y
