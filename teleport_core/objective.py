"""The teleport objective 1/2 ||g||^2 and its derivatives (null-space paper, Eq. 4)."""

import torch
from torch import Tensor

from teleport_core.norms import squared_norm
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


def objective_gradient(leaves: Parameters, gradient: Parameters, wanted: list[str]) -> Parameters:
    """The gradient of 1/2 ||g||^2, which is H g, by double backward; one entry per ``wanted``."""
    with DOUBLE_BACKWARD:
        half = 0.5 * squared_norm(gradient.values())
        if not half.requires_grad:
            return {name: torch.zeros_like(leaves[name]) for name in wanted}
        values = torch.autograd.grad(
            half, [leaves[name] for name in wanted], allow_unused=True, materialize_grads=True
        )
    return dict(zip(wanted, values, strict=True))
