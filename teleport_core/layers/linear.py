"""z = x W^T, and the calls that come down to it: F.linear, addmm, products with a weight."""

# ruff: noqa: A002  (an adapter has the argument names of its function)

from collections.abc import Iterator

import torch
from torch import Tensor

from teleport_core import products
from teleport_core.layers.contraction import bmm
from teleport_core.layers.operator import Operator, is_weight, use
from teleport_core.norms import square_sum


class Linear(Operator):
    """z [..., out] = x [..., features] W^T."""

    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        """X W^T."""
        return products.linear(x, w, None)

    def forward(self, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
        """X W^T + b."""
        return products.linear(x, w, bias)

    def columns(self, x: Tensor, limit: int) -> Iterator[Tensor]:
        """Samples or tokens."""
        yield from (piece.unsqueeze(0) for piece in torch.split(flat(x), limit))

    def energy(self, x: Tensor) -> Tensor | None:
        """The sum itself."""
        return square_sum(x).double().reshape(1)

    def input_gradient(self, g: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """D W."""
        del x
        return products.product(flat(g), w).view(*g.shape[:-1], w.shape[1])

    def weight_gradient(self, g: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """D^T X."""
        del w
        return products.product(flat(g).T, flat(x))

    def tangent(self, x: Tensor, x_dot: Tensor | None, w: Tensor, w_dot: Tensor) -> Tensor:
        """X G^T + R{X} W^T, the second product added to the first in place."""
        z_dot = products.product(flat(x), w_dot.T)
        if x_dot is not None:
            z_dot = products.added_product(z_dot, flat(x_dot), w.T)
        return z_dot.view(*x.shape[:-1], len(w))


LINEAR = Linear()


def flat(x: Tensor) -> Tensor:
    """[..., features] as [columns, features]."""
    return x.reshape(x.shape[:-1].numel(), x.shape[-1])


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``; a bias of another shape than [out] is added to the whole."""
    if weight.dim() != 2:
        return torch.nn.functional.linear(input, weight, bias)
    if bias is not None and bias.shape != weight.shape[:1]:
        return use(LINEAR, input, weight, None) + bias
    return use(LINEAR, input, weight, bias)


def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1
) -> Tensor:
    """``torch.addmm``, bias + x W with W [in, out], as GPT-2 has it."""
    if beta == alpha == 1 and is_weight(mat2) and input.shape == mat2.shape[1:]:
        return use(LINEAR, mat1, mat2.t(), input)
    return torch.addmm(input, mat1, mat2, beta=beta, alpha=alpha)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """``torch.matmul`` and the operator @: x W, or W x, with one matrix or one for each x."""
    if is_weight(other) and other.dim() == 2:
        return use(LINEAR, input, other.t(), None)
    if is_weight(input) and input.dim() == 2:
        if other.dim() == 1:
            return use(LINEAR, other, input, None)
        return use(LINEAR, other.mT, input, None).mT
    shapes = (input.shape, other.shape)
    if sorted(map(len, shapes)) in ([2, 3], [3, 3]):
        batch = max(shape[0] for shape in shapes if len(shape) == 3)
        return bmm(_of_batch(input, batch), _of_batch(other, batch))
    return torch.matmul(input, other)


def _of_batch(matrices: Tensor, batch: int) -> Tensor:
    """[batch, ., .], the same matrix for all where there is only one."""
    if matrices.dim() == 3 and len(matrices) == batch:
        return matrices
    return matrices.expand(batch, -1, -1)


def reversed_matmul(input: Tensor, other: Tensor) -> Tensor:
    """``Tensor.__rmatmul__``: other @ input."""
    return matmul(other, input)
