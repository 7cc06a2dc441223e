"""The action of SO(2) on a plane with a chart, and ||grad f||^2 as a function of the angle.

In the chart f = u^2 + v^2, and g(theta) rotates (u, v): Zhao et al. (2022), arXiv 2205.10637.
"""

import math

import torch
from torch import Tensor

from baselines.test_functions.functions import PlaneFunction

# Angles that are looked at before Newton's method; ||grad f||^2 has few maxima on a circle.
_GRID = 720


def rotated(function: PlaneFunction, point: Tensor, angle: Tensor) -> Tensor:
    """The point [2] moved by rotations about angles [k]; [2, k]."""
    chart = function.chart
    assert chart is not None
    u, v = chart.into(point)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return chart.back(torch.stack([cos * u - sin * v, sin * u + cos * v]))


def grad_norm_sq_at(function: PlaneFunction, points: Tensor) -> Tensor:
    """||grad f||^2 [k] at points [2, k], which may be differentiated further."""
    (gradient,) = torch.autograd.grad(function.value(points).sum(), points, create_graph=True)
    return gradient.square().sum(0)


def slopes(function: PlaneFunction, point: Tensor, angle: Tensor, order: int) -> list[Tensor]:
    """||grad f||^2 [k] at the rotated points, and its derivatives by the angle up to ``order``."""
    with torch.enable_grad():
        angle = angle.detach().requires_grad_(True)
        found = [grad_norm_sq_at(function, rotated(function, point, angle))]
        for _ in range(order):
            found += torch.autograd.grad(found[-1].sum(), angle, create_graph=True)
    return [each.detach() for each in found]


def best_angles(function: PlaneFunction, point: Tensor, steps: int) -> Tensor:
    """Angles [steps] that lead to the largest ||grad f||^2: the best of a grid, then Newton's."""
    width = 2 * math.pi / _GRID
    grid = torch.arange(_GRID, dtype=point.dtype, device=point.device) * width
    (values,) = slopes(function, point, grid, 0)
    visited = [grid[values.argmax()].view(1)]
    for _ in range(steps - 1):
        _, slope, curvature = slopes(function, point, visited[-1], 2)
        # Not past the neighbours on the grid; where all angles are as good there is no step.
        step = torch.where(curvature < 0, -slope / curvature, 0.0).clamp(-width, width)
        visited.append(visited[-1] + step)
    return torch.cat(visited)


def climbed_angles(
    function: PlaneFunction, point: Tensor, angle: Tensor, lr: float, steps: int
) -> Tensor:
    """The ``steps`` angles that the released ascent visits from ``angle`` [1]; [steps].

    It climbs ||grad f||^2, not half of it, and ends before its last update counts.
    """
    visited = [angle]
    for _ in range(steps - 1):
        _, slope = slopes(function, point, visited[-1], 1)
        visited.append(visited[-1] + lr * slope)
    return torch.cat(visited)
