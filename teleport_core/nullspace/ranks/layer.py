"""One layer of a chain of which each rank has some columns: what its steps send and receive.

Columns are samples. D M = G X, the gradient's own product with the inputs, is formed for this
rank's columns: by way of M_r = X^T X_r where D of all ranks is there, else by way of G.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from teleport_core.nullspace.half_hvp.layer import FrozenLayer
from teleport_core.nullspace.ranks.volume import Way


@dataclass
class SharedLayer:
    """A layer at the frozen forward pass of its rank's samples.

    Attributes:
        own: with this rank's columns; its basis is that of the columns of all ranks.
        way: what is gathered, and what is summed.
        cross: M_r [N, n], X^T X_r of the inputs of all ranks, plus 1 where the bias counts; where D
            is gathered.
        D: dL/dz [out, n] of this rank.
        whole: D [out, N] of all ranks, where it is gathered.
        along: D M_r [out, n]: what z gains when W and b move along their gradients.
        free: P R{X} [features, n], the bias included; ``whole_free`` [features, N] of all.
        size: ||R{X}||^2 of this rank, before the projection.
    """

    own: FrozenLayer
    way: Way
    cross: Tensor | None
    D: Tensor
    whole: Tensor | None = None
    along: Tensor = field(default_factory=lambda: torch.empty(0))
    free: Tensor | None = None
    size: Tensor | None = None

    @property
    def moves(self) -> bool:
        """Whether anything is free, and something beneath it moves."""
        return self.own.basis is not None

    def gradient(self) -> Tensor:
        """This rank's share of dL/d[W b] [out, features], of what counts."""
        weight = self.D @ self.own.inputs.T
        parts = [weight] if self.own.counts[0] else []
        parts += [self.D.sum(1, keepdim=True)] if self.own.counts[1] else []
        return torch.cat(parts, dim=1) if parts else weight[:, :0]

    def take_columns(self, whole: Tensor) -> Tensor:
        """D of all ranks [out, N]; this rank's share of ||dL/d[W b]||^2."""
        assert self.cross is not None
        self.whole = whole
        self.along = whole @ self.cross
        return (self.D * self.along).sum()

    def take_gradient(self, gradient: Tensor) -> Tensor:
        """dL/d[W b] of all ranks; its squared norm."""
        self.along = torch.zeros_like(self.D)
        if self.own.counts[0]:
            self.along += gradient[:, : len(self.own.inputs)] @ self.own.inputs
        if self.own.counts[1]:
            self.along += gradient[:, -1:]
        return gradient.square().sum()

    def project(self, tangent: Tensor) -> None:
        """P R{X} of this rank's columns; the tangent of the ones is zero, its free part is not."""
        Q = self.own.basis
        assert Q is not None
        along = Q[: len(tangent)].T @ tangent
        self.size = tangent.square().sum()
        self.free = F.pad(tangent, (0, 0, 0, len(Q) - len(tangent))) - Q @ along

    def share(self) -> Tensor:
        """This rank's share of U [out, features]."""
        assert self.free is not None
        return self.D @ self.free.T

    def write(self, update: Tensor, length: float) -> None:
        """[W b] <- [W b] + length U."""
        if self.own.bias is not None:
            self.own.bias.add_(update[:, -1], alpha=length)
            update = update[:, :-1]
        self.own.weight.add_(update, alpha=length)
