"""Directions of several tasks: G [tasks, parameters] -> d [parameters], to be subtracted.

None of them clips: where a norm is bounded, the caller does it.
"""

import torch
from torch import Tensor

from teleport_core.errors import ProblemError


def mean(gradients: Tensor) -> Tensor:
    """g_0, the gradient of the mean loss."""
    return gradients.mean(0)


def cagrad(gradients: Tensor, c: float = 0.5) -> Tensor:
    """CAGrad (Liu et al., 2110.14048, Algorithm 1): d = g_0 + c ||g_0|| g_w / ||g_w||.

    w minimises <g_w, g_0> + c ||g_0|| ||g_w|| over the simplex, with g_w = sum_i w_i g_i.

    Args:
        gradients: G [tasks, parameters].
        c: How far d may be from g_0, relative to ||g_0||; 0 is the mean. Default ours.
    """
    tasks = len(gradients)
    average = gradients.mean(0)
    radius = c * torch.linalg.vector_norm(average)
    w = _minimise(gradients @ gradients.T, radius, gradients.new_full((tasks,), 1 / tasks))
    mixed = w @ gradients
    size = torch.linalg.vector_norm(mixed)
    return average + radius * mixed / size if size > 0 else average


def fairgrad(gradients: Tensor, steps: int = 100) -> Tensor:
    """FairGrad at alpha = 1 (Ban and Ji, 2402.15638): d = sum_i w_i g_i, (G G^T) w = 1/w, w > 0.

    w minimises 1/2 w^T G G^T w - sum_i log w_i, which damped Newton steps do from anywhere.

    Args:
        gradients: G [tasks, parameters].
        steps: Newton steps at most.

    Raises:
        ProblemError: no w was found: some convex combination of the gradients is zero, or nearly.
    """
    gram = gradients @ gradients.T
    scale = gram.diagonal().mean()
    gram = gram / scale
    w = torch.ones_like(gram[0])
    for _ in range(steps):
        slope = gram @ w - 1 / w
        step, singular = torch.linalg.solve_ex(gram + torch.diag(w**-2), slope)
        if singular:
            break
        decrement = (slope @ step).clamp(min=0).sqrt()
        w = w - step / (1 + decrement) if decrement > 0.25 else w - step
        if decrement < 10 * torch.finfo(w.dtype).eps ** 0.5:
            direction: Tensor = (w / scale.sqrt()) @ gradients
            return direction
    raise ProblemError(
        "expected gradients of tasks with a common direction of descent; got some whose convex "
        "combination is zero, or nearly, where FairGrad has no weights: use the mean, or stop here"
    )


def _minimise(gram: Tensor, radius: Tensor, w: Tensor, steps: int = 2000) -> Tensor:
    """The best w on the simplex, by projected gradient steps halved until they descend enough."""

    def value(w: Tensor) -> Tensor:
        return w @ gram.mean(1) + radius * (w @ gram @ w).clamp(min=0).sqrt()

    length = gram.new_ones(()) / gram.diagonal().max().clamp(min=torch.finfo(gram.dtype).tiny)
    for _ in range(steps):
        size = (w @ gram @ w).clamp(min=0).sqrt()
        if size == 0:
            return w
        slope = gram.mean(1) + radius * (gram @ w) / size
        length = 2 * length
        moved = _onto_simplex(w - length * slope)
        while value(moved) > value(w) + slope @ (moved - w) + ((moved - w) ** 2).sum() / (
            2 * length
        ) and not torch.equal(moved, w):
            length = length / 2
            moved = _onto_simplex(w - length * slope)
        if (moved - w).abs().max() <= torch.finfo(w.dtype).eps:
            return moved
        w = moved
    return w


def _onto_simplex(v: Tensor) -> Tensor:
    """The nearest point with entries >= 0 that sum to one."""
    ordered = v.sort(descending=True).values
    excess = (ordered.cumsum(0) - 1) / torch.arange(1, len(v) + 1, dtype=v.dtype, device=v.device)
    return (v - excess[int((ordered > excess).sum()) - 1]).clamp(min=0)
