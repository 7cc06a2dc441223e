"""One layer at a forward pass that is frozen: what every step of the fast engine needs of it.

Columns are samples. Where oneDNN takes a product they lie in memory one after another, as torch
lays out a batch and oneDNN its answers; small nets gain by the rows lying so. What a step writes
is allocated here, once; only products by oneDNN answer with memory of their own.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core import products
from teleport_core.nullspace.bases.gram import gram_bases


@dataclass
class FrozenLayer:
    """One layer at the forward pass that all steps share.

    Attributes:
        name: of the weight.
        bias_name: of the bias that moves with it, or None.
        weight: W [out, in], the model's own storage.
        bias: b [out], the model's own storage, when it moves.
        slope: s'(z) [out, n]; ones for the last layer.
        inputs: X [in, n].
        gram: M [n, n], or None where D M is cheaper by way of X.
        counts: whether weight and bias count in the gradient.
        data_fed: no counted parameter lies beneath: R{X} = 0 and the layer stays.
        basis: Q [in (+1), k]; None when the layer stays.
        D: dL/dz [out, n].
        D_before: its value one step earlier, once there was one.
        along: D M [out, n]; on the way up it becomes R{z}.
        tangent: R{X} [in, n], and its free part once it was projected.
        by_onednn: whether oneDNN is the faster one for products of W and n columns.
        columns: whether columns lie in memory one after another, or rows do.
    """

    name: str
    bias_name: str | None
    weight: Tensor
    bias: Tensor | None
    slope: Tensor
    inputs: Tensor
    gram: Tensor | None
    counts: tuple[bool, bool]
    data_fed: bool
    basis: Tensor | None
    D: Tensor
    D_before: Tensor
    along: Tensor
    tangent: Tensor
    by_onednn: bool
    columns: bool

    @property
    def features(self) -> int:
        """Rows of the representation matrix: inputs, and one for a bias that moves."""
        return self.weight.shape[1] + (self.bias_name is not None)

    def take_gradient_from(self, upper: "FrozenLayer") -> None:
        """D = s'(z) * (W^T D) of the layer above."""
        self.D, self.D_before = self.D_before, self.D
        if upper.by_onednn:
            torch.mul(products.by_onednn(upper.D.T, upper.weight).T, self.slope, out=self.D)
        else:
            torch.mm(upper.weight.T, upper.D, out=self.D)
            self.D.mul_(self.slope)

    def push_tangent_to(self, upper: "FrozenLayer") -> None:
        """R{z} = D M + W R{X}, and R{X} = s'(z) * R{z} of the layer above."""
        if self.data_fed:
            torch.mul(self.along, self.slope, out=upper.tangent)
        elif self.by_onednn:
            z = products.plus_by_onednn(self.along.T, self.tangent.T, self.weight.T)
            torch.mul(z.T, self.slope, out=upper.tangent)
        else:
            torch.mul(self.along.addmm_(self.weight, self.tangent), self.slope, out=upper.tangent)

    def gradient_norm_sq(self) -> Tensor:
        """||dL/d[W b]||^2 = <D, D M>."""
        self.along_gradient()
        return torch.dot(flat(self.D), flat(self.along))

    def along_gradient(self) -> Tensor:
        """D M: what z gains when W and b move along their gradients."""
        if self.gram is not None:
            if self.columns and products.gains(len(self.gram), self.D.T):
                self.along = products.by_onednn(self.gram, self.D.T).T
            else:
                torch.mm(self.D, self.gram, out=self.along)
            return self.along
        if self.counts[0]:
            torch.mm(self.D @ self.inputs.T, self.inputs, out=self.along)
        else:
            self.along.zero_()
        if self.counts[1]:
            self.along.add_(self.D.sum(1, keepdim=True))
        return self.along

    def gradients(self) -> tuple[Tensor | None, Tensor | None]:
        """G = D X^T [out, in] and the gradient of the bias [out], of what counts."""
        weight = products.product(self.D, self.inputs.T) if self.counts[0] else None
        return weight, self.D.sum(1) if self.counts[1] else None

    def move_along(self, V: Tensor | None, v: Tensor | None) -> None:
        """V X + v, what z gains when W and b move along V and v, takes the place of D M."""
        if V is None:
            self.along.zero_()
        elif self.columns and products.gains(self.inputs.shape[1], V.T):
            self.along = products.by_onednn(self.inputs.T, V.T).T
        else:
            torch.mm(V, self.inputs, out=self.along)
        if v is not None:
            self.along.add_(v[:, None])

    def has_free_inputs(self) -> bool:
        """Whether the inputs leave a direction free, for a layer whose basis was not computed."""
        if self.features > self.inputs.shape[1]:
            return True
        (found,) = gram_bases([self.inputs], ones=self.bias_name is not None)
        return found.vectors.shape[1] < self.features


def empty(like: Tensor, *shape: int, columns: bool) -> Tensor:
    """[..., rows, n], columns one after another or rows.

    Each in memory of its own: a product's last bits may depend on where its operands begin.
    """
    *many, rows, n = shape
    return like.new_empty(*many, n, rows).mT if columns else like.new_empty(shape)


def flat(matrix: Tensor) -> Tensor:
    """All entries in memory order, of a matrix without gaps."""
    return matrix.as_strided((matrix.numel(),), (1,))
