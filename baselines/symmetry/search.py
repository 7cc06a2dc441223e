"""The search for T: the slope of 1/2 ||g||^2 along the orbit, at the identity of the group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.symmetry.actions import Swept
from baselines.symmetry.mlp import MLP
from teleport_core.errors import ProblemError
from teleport_core.norms import squared_norm
from teleport_core.phases import BACKWARD, DOUBLE_BACKWARD, FORWARD

Sweep = Callable[[Sequence[Tensor], Sequence[Tensor]], Swept]
"""``sweep(matrices, T)``: the matrices moved by g = I + T."""


@dataclass(frozen=True)
class Batch:
    """The MLP on ``inputs`` X [features, columns]; ``loss_of`` takes its output [columns, out]."""

    mlp: MLP
    inputs: Tensor
    loss_of: Callable[[Tensor], Tensor]

    def loss_and_gradient(
        self, matrices: Sequence[Tensor], *, differentiable: bool
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """The loss and dL/d[W_m b_m] for every layer, at matrices that require gradients."""
        with FORWARD:
            loss = self.loss_of(self.mlp.output(matrices, self.inputs))
        if not loss.requires_grad:
            raise ProblemError(
                "expected a loss that depends on the model's output; no gradient comes back from "
                "loss_fn: do not detach the output inside it"
            )
        with BACKWARD:
            gradient = torch.autograd.grad(loss, list(matrices), create_graph=differentiable)
        return loss.detach(), gradient


@dataclass(frozen=True)
class Slope:
    """The loss and ||g||^2 at T = 0, and on demand d(1/2 ||g||^2)/dT per hidden layer."""

    loss: Tensor
    grad_norm_sq: Tensor
    derivative: Callable[[], Sequence[Tensor]]


def slope(
    batch: Batch, sweep: Sweep, matrices: Sequence[Tensor], *, through_sweep: bool = False
) -> Slope:
    """Differentiate 1/2 ||g(W(T))||^2 at T = 0, where W(T) = ``sweep(matrices, T)``.

    g holds the gradients at W(T). With ``through_sweep`` the gradient of a matrix also counts
    what the sweep made of it in later matrices, so that g is not the gradient of the loss.
    """
    with torch.enable_grad():
        T = [
            batch.inputs.new_zeros(layer.out_features, layer.out_features).requires_grad_(True)
            for layer in batch.mlp.layers[:-1]
        ]
        with FORWARD:
            moved = sweep(matrices, T).matrices
        if not through_sweep:
            moved = [matrix.view_as(matrix) for matrix in moved]
        loss, gradient = batch.loss_and_gradient(moved, differentiable=True)

    def derivative() -> Sequence[Tensor]:
        # d(1/2 ||g||^2) = <g, dg>: pulling g back spares the graph of the norm.
        with DOUBLE_BACKWARD:
            return torch.autograd.grad(gradient, T, grad_outputs=[g.detach() for g in gradient])

    with BACKWARD:
        grad_norm_sq = squared_norm(part.detach() for part in gradient)
    return Slope(loss, grad_norm_sq, derivative)
