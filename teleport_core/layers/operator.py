"""What it takes for a weight to move: a map that is linear in its input and in its weight.

Adapters speak in two words; outside a watched forward pass they mean nothing special.
``use(operator, x, weight, bias)`` says: here the weight meets an input through this operator.
``is_weight(tensor)`` asks whether a tensor is a parameter, or a view of one, that is watched.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.overrides import wrap_torch_function


class Operator(ABC):
    """A map z = A(x, w), linear in x for a fixed w and in w for a fixed x.

    Read as a matrix product, each group of output rows is W_g X_g, where X_g [features, columns]
    is read off the input: samples, tokens or patches. A subclass writes ``apply`` and ``columns``;
    the two gradients follow by differentiation unless it knows better.

    Attributes:
        channel: axis of z along which a bias is added.
    """

    channel: int = -1

    @abstractmethod
    def apply(self, x: Tensor, w: Tensor) -> Tensor:
        """A(x, w), without a bias."""

    @abstractmethod
    def columns(self, x: Tensor, limit: int) -> Iterator[Tensor]:
        """The inputs that each group sees, in pieces [groups, columns, features].

        A piece has up to ``limit`` columns, where that can be arranged.
        """

    def energy(self, x: Tensor) -> Tensor | None:
        """A bound of the sum of squares of all entries of all columns [groups], float64.

        None where the operator does not know.
        """
        del x
        return None

    def places(self, z: Tensor) -> int:
        """Columns that z has."""
        return z.numel() // max(1, z.shape[self.channel])

    def rows(self, w: Tensor) -> Tensor:
        """A view of w as [groups, rows, ...], the axes behind the rows in the order of features."""
        return w.unsqueeze(0)

    def input_gradient(self, g: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """The gradient that reaches x when g reaches z."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_(True)
            (found,) = torch.autograd.grad(self.apply(leaf, w.detach()), leaf, g.detach())
        return found

    def weight_gradient(self, g: Tensor, x: Tensor, w: Tensor) -> Tensor:
        """The gradient that reaches w when g reaches z."""
        with torch.enable_grad():
            leaf = w.detach().requires_grad_(True)
            (found,) = torch.autograd.grad(self.apply(x.detach(), leaf), leaf, g.detach())
        return found

    def forward(self, x: Tensor, w: Tensor, bias: Tensor | None) -> Tensor:
        """A(x, w) + bias."""
        z = self.apply(x, w)
        return z if bias is None else z + self.along_channel(bias, z)

    def tangent(self, x: Tensor, x_dot: Tensor | None, w: Tensor, w_dot: Tensor) -> Tensor:
        """R{z} when x moves along ``x_dot`` (not at all if None) and w along ``w_dot``."""
        z_dot = self.apply(x, w_dot)
        return z_dot if x_dot is None else z_dot + self.apply(x_dot, w)

    def along_channel(self, bias: Tensor, z: Tensor) -> Tensor:
        """A bias shaped so that it can be added to z."""
        axis = self.channel % z.dim()
        return bias.reshape([-1 if i == axis else 1 for i in range(z.dim())])

    def bias_gradient(self, g: Tensor) -> Tensor:
        """G summed over everything but the channel."""
        axis = self.channel % g.dim()
        return g.sum([i for i in range(g.dim()) if i != axis]) if g.dim() > 1 else g


@wrap_torch_function(lambda operator, x, weight, bias=None: (x, weight, bias))
def use(operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Z = A(x, weight) + bias, a use of the weight in which it may move."""
    return operator.forward(x, weight, bias)


@wrap_torch_function(lambda tensor: (tensor,))
def is_weight(tensor: Tensor) -> bool:
    """Whether ``tensor`` is a watched parameter or a view of one."""
    del tensor
    return False
