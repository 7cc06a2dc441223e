"""The search for T: the slope of the objective along the orbit, at the identity of the group."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.symmetry.actions import Swept
from baselines.symmetry.mlp import MLP
from teleport_core.errors import ProblemError
from teleport_core.norms import squared_norm
from teleport_core.nullspace.line import Seen
from teleport_core.objectives.goal import Goal
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
    """The loss, ||g||^2 and J at T = 0, and on demand dJ/dT per hidden layer.

    ``objective`` is None where J = 1/2 ||g||^2.
    """

    loss: Tensor
    grad_norm_sq: Tensor
    derivative: Callable[[], Sequence[Tensor]]
    objective: float | None = None

    def seen(self) -> Seen:
        """The same as numbers; NaN where the loss is not finite."""
        loss, norm_sq = float(self.loss), float(self.grad_norm_sq)
        seen = Seen.plain(norm_sq if math.isfinite(loss) else math.nan, loss)
        return seen if self.objective is None else seen._replace(objective=self.objective)


def slope(
    batch: Batch,
    sweep: Sweep,
    matrices: Sequence[Tensor],
    *,
    through_sweep: bool = False,
    goal: Goal | None = None,
) -> Slope:
    """Differentiate J(g(W(T))) at T = 0, where W(T) = ``sweep(matrices, T)``.

    J is 1/2 ||g||^2, or that of ``goal``. g holds the gradients at W(T). With ``through_sweep``
    the gradient of a matrix also counts what the sweep made of it in later matrices, so that g is
    not the gradient of the loss.
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

    objective, v = None, [g.detach() for g in gradient]
    if goal is not None:
        objective, v = _climbed(batch.mlp, goal, v, [matrix.detach() for matrix in moved])

    def derivative() -> Sequence[Tensor]:
        # dJ = <v, dg> with v = dJ/dg, which is g for 1/2 ||g||^2.
        with DOUBLE_BACKWARD:
            return torch.autograd.grad(gradient, T, grad_outputs=v)

    with BACKWARD:
        grad_norm_sq = squared_norm(part.detach() for part in gradient)
    return Slope(loss, grad_norm_sq, derivative, objective)


def _climbed(
    mlp: MLP, goal: Goal, gradient: Sequence[Tensor], matrices: Sequence[Tensor]
) -> tuple[float, list[Tensor]]:
    """J and v, shaped like the matrices, from gradients that are."""
    names = [layer.weight for layer in mlp.layers]
    parameters = mlp.split(dict(zip(names, matrices, strict=True)))
    value, slope = goal.look(mlp.split(dict(zip(names, gradient, strict=True))), parameters)
    return value, [*mlp.read(slope).values()]
