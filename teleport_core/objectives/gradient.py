"""The gradient g of the loss, and the gradient of a function J(g) by double backward.

The chain rule gives dJ/dW = H v, with H the Hessian of the loss and v = dJ/dg, which is held fixed
while <g, v> is differentiated again. For J = 1/2 ||g||^2 (null-space paper, Eq. 4) v is g itself.
"""

import torch
from torch import Tensor

from teleport_core.phases import BACKWARD, DOUBLE_BACKWARD, FORWARD
from teleport_core.problem import Parameters, Problem


def gradient_at(
    problem: Problem, leaves: Parameters, counted: list[str], *, differentiable: bool
) -> tuple[Tensor, Parameters]:
    """The loss and its gradient by every counted parameter, at leaves that are in a graph already.

    With ``differentiable`` the gradient carries a graph and may be differentiated again.
    """
    with FORWARD:
        loss = problem.loss(leaves)
    return loss, gradient_of(loss, leaves, counted, differentiable=differentiable)


def gradient_of(
    loss: Tensor, leaves: Parameters, counted: list[str], *, differentiable: bool
) -> Parameters:
    """The gradient of a loss whose graph is there."""
    wanted = [leaves[name] for name in counted]
    with BACKWARD:
        gradients = torch.autograd.grad(
            loss, wanted, create_graph=differentiable, allow_unused=True, materialize_grads=True
        )
    return dict(zip(counted, gradients, strict=True))


def objective_gradient(
    leaves: Parameters, gradient: Parameters, wanted: list[str], slope: Parameters | None = None
) -> Parameters:
    """H v by double backward, one entry per ``wanted``; ``slope`` is v, without it v = g."""
    v = gradient if slope is None else slope
    with DOUBLE_BACKWARD:
        pairs = [(g, v[name].detach()) for name, g in gradient.items() if g.requires_grad]
        if not pairs:
            return {name: torch.zeros_like(leaves[name]) for name in wanted}
        values = torch.autograd.grad(
            [g for g, _ in pairs],
            [leaves[name] for name in wanted],
            grad_outputs=[along for _, along in pairs],
            allow_unused=True,
            materialize_grads=True,
        )
    return dict(zip(wanted, values, strict=True))
