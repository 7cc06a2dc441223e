"""P R{X}: the free part of every moving layer's tangent, layers of one shape in one call.

For a layer with far fewer outputs than samples the product D R{X}^T is the smaller matrix, and
that is projected instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core import products
from teleport_core.nullspace.half_hvp.layer import FrozenLayer, empty

# What is written passes through here: the tensor itself, or zeros where no step is taken.
Admit = Callable[[Tensor], Tensor]

# Below this many operations a product costs no more than starting it.
_FEW = 2**25


@dataclass
class TogetherProjected:
    """Layers whose tangents have one shape; they are projected together, before they are used.

    Attributes:
        layers: L of them; their tangents are slices of ``tangents``.
        bases: Q [L, in, k]; where a rank is below k the last columns are zero.
        last_rows: rows of Q that belong to the biases [L, k], or None.
        tangents: R{X} [L, in, n]; in memory by columns or by rows, as everything of the batch.
        coefficients: Q^T R{X} [L, k, n], in the same way.
    """

    layers: list[FrozenLayer]
    bases: Tensor
    last_rows: Tensor | None
    tangents: Tensor
    coefficients: Tensor

    def form(self) -> None:
        """Do nothing: R{X}, which is projected, was written by the pass up."""

    def project(self) -> None:
        """R{X} <- R{X} - Q Q^T R{X}."""
        if self.tangents.is_contiguous():
            torch.bmm(self.bases.mT, self.tangents, out=self.coefficients)
            self.tangents.baddbmm_(self.bases, self.coefficients, alpha=-1)
            return
        samples, coefficients = self.tangents.mT, self.coefficients.mT
        if not products.gains(samples.shape[1], self.bases[0]):
            torch.bmm(samples, self.bases, out=coefficients)
            samples.baddbmm_(coefficients, self.bases.mT, alpha=-1)
            return
        for tangent, Q, along in zip(samples, self.bases, coefficients, strict=True):
            torch.neg(products.by_onednn(tangent, Q), out=along)
            tangent.copy_(products.plus_by_onednn(tangent, along, Q.T))
            along.neg_()

    def norms(self) -> Tensor:
        """Sizes of what is projected [L]."""
        size: Tensor = torch.linalg.vector_norm(self.tangents, dim=(1, 2))
        return size

    def direction(self, number: int) -> list[tuple[Tensor, Tensor]]:
        """(W, D (P R{X})^T) at the present D, the bias with it."""
        layer = self.layers[number]
        found = [(layer.weight, layer.D @ self.tangents[number].T)]
        if layer.bias is not None and self.last_rows is not None:
            along = layer.D @ (self.last_rows[number] @ self.coefficients[number])
            found.append((layer.bias, -along))
        return found

    def write(self, number: int, lr: float, D: Tensor, admit: Admit) -> None:
        """W <- W + lr D (P R{X})^T, the bias with it; Eq. 5 of the paper."""
        layer = self.layers[number]
        layer.weight.addmm_(admit(D), admit(self.tangents[number].T), alpha=lr)
        if layer.bias is not None and self.last_rows is not None:
            # The tangent of the ones row is zero, so all of its free part is -q^T (Q^T R{X}).
            along = D @ (self.last_rows[number] @ self.coefficients[number])
            layer.bias.sub_(admit(along), alpha=lr)


@dataclass
class ProductProjected:
    """One layer with fewer outputs than samples: D R{X}^T [out, in] is projected.

    Attributes:
        update: D R{X}^T, then its free part.
        coefficients: D R{X}^T Q [out, k].
    """

    layer: FrozenLayer
    update: Tensor
    coefficients: Tensor

    @property
    def layers(self) -> list[FrozenLayer]:
        """The one layer."""
        return [self.layer]

    def form(self) -> None:
        """D R{X}^T."""
        torch.mm(self.layer.D, self.layer.tangent.T, out=self.update)

    def project(self) -> None:
        """U <- U - U Q Q^T."""
        assert self.layer.basis is not None
        Q = self.layer.basis[: self.update.shape[1]]
        torch.mm(self.update, Q, out=self.coefficients)
        self.update.addmm_(self.coefficients, Q.T, alpha=-1)

    def norms(self) -> Tensor:
        """Size of what is projected [1]."""
        size: Tensor = torch.linalg.vector_norm(self.update)
        return size.reshape(1)

    def direction(self, number: int) -> list[tuple[Tensor, Tensor]]:
        """(W, U), the bias with it."""
        del number
        layer = self.layer
        found = [(layer.weight, self.update)]
        if layer.bias is not None and layer.basis is not None:
            found.append((layer.bias, -(self.coefficients @ layer.basis[-1])))
        return found

    def write(self, number: int, lr: float, D: Tensor, admit: Admit) -> None:
        """W <- W + lr U, the bias with it."""
        del number, D
        layer = self.layer
        layer.weight.add_(admit(self.update), alpha=lr)
        if layer.bias is not None and layer.basis is not None:
            layer.bias.sub_(admit(self.coefficients @ layer.basis[-1]), alpha=lr)


Movers = list[TogetherProjected | ProductProjected]


def projects_product(features: int, out: int, n: int, rank: int) -> bool:
    """Whether D R{X}^T [out, features] is projected, and not R{X} [features, n]."""
    return out < n and 2 * features * n * rank > _FEW


def movers(layers: Sequence[FrozenLayer]) -> Movers:
    """The layers that move, those that can be projected together put together."""
    found: Movers = []
    alike: dict[tuple[int, bool], list[FrozenLayer]] = {}
    for layer in layers:
        if layer.basis is None:
            continue
        features, n = layer.inputs.shape
        rank, out = layer.basis.shape[1], layer.weight.shape[0]
        if projects_product(features, out, n, rank):
            new = layer.inputs.new_empty
            found.append(ProductProjected(layer, new(out, features), new(out, rank)))
        else:
            alike.setdefault((features, layer.bias is not None), []).append(layer)
    return found + [_together(same) for same in alike.values()]


def _together(layers: list[FrozenLayer]) -> TogetherProjected:
    features, n = layers[0].inputs.shape
    vectors = [layer.basis.T for layer in layers if layer.basis is not None]
    most = max(own.shape[0] for own in vectors)
    if any(own.shape[0] < most for own in vectors):
        vectors = [torch.nn.functional.pad(own, (0, 0, 0, most - len(own))) for own in vectors]
    biased = layers[0].bias is not None
    Q = torch.stack([own[:, :features] for own in vectors] if biased else vectors).mT
    tangents = empty(Q, len(layers), features, n, columns=layers[0].columns)
    for layer, tangent in zip(layers, tangents, strict=True):
        layer.tangent = tangent
    return TogetherProjected(
        layers=layers,
        bases=Q,
        last_rows=torch.stack([own[:, -1] for own in vectors]) if biased else None,
        tangents=tangents,
        coefficients=empty(Q, len(layers), most, n, columns=layers[0].columns),
    )
