"""The free part of D R{X}^T, in the order of products that costs least.

Three orders give the same update [rows, features]. With the bias a zero is appended to R{X}, as
the tangent of the ones; its free part is not zero.

- ``by_weight``: D R{X}^T, shaped like the weight and for convolutions by the kernel of their own
  backward pass; then the projection.
- ``by_rest``: (D (N^T R{X})^T) N^T, where only few directions N are free.
- ``by_columns``: D (P R{X})^T, where there are fewer columns than features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from teleport_core.layers.convolution import Convolution
from teleport_core.layers.layer import Layer
from teleport_core.layers.linear import Linear, flat
from teleport_core.nullspace.bases.spaces import Space
from teleport_core.problem import Parameters
from teleport_core.products import product


@dataclass
class Update:
    """What one layer gains per unit of the learning rate, [rows, features].

    ``right``, or ``left`` [rows, k] times ``right`` [k, features].
    """

    left: Tensor | None
    right: Tensor

    def matrix(self) -> Tensor:
        """[rows, features]."""
        return self.right if self.left is None else product(self.left, self.right)

    def write(self, layer: Layer, values: Parameters, lr: float) -> None:
        """Add it to the values, in place."""
        if self.left is None:
            layer.add(values, self.right, lr)
        else:
            layer.add_product(values, self.left, self.right, lr)

    def without(self, rows: Tensor | None) -> "Update":
        """The same with some rows left as they are."""
        if rows is None:
            return self
        if self.left is None:
            return Update(None, self.right.index_fill(0, rows, 0.0))
        return Update(self.left.index_fill(0, rows, 0.0), self.right)


Tangents = list[Tensor | None]
Order = Callable[[Layer, Space, Tangents], Update]


def free_update(order: Order, layer: Layer, space: Space, tangents: Tangents) -> Update:
    """The step's update of one layer from R{X} of each of its uses (None where X stays)."""
    return order(layer, space, tangents).without(layer.looked_up)


def by_weight(layer: Layer, space: Space, tangents: Tangents) -> Update:
    """D R{X}^T, then the projection."""
    total = of_part(layer, tangents)
    matrix = _zeros(layer) if total is None else layer.as_rows(total)
    return Update(None, space.project(with_ones(matrix, layer)))


def of_part(layer: Layer, tangents: Tangents) -> Tensor | None:
    """D R{X}^T shaped like the layer's part of the weight, all groups of it; None where it is 0."""
    total: Tensor | None = None
    name = layer.weight
    for use, x_dot in zip(layer.uses, tangents, strict=True):
        if x_dot is None or use.D is None:
            continue
        w = use.part(use.tape.parameters)
        gradient = use.operator.weight_gradient(use.D, x_dot, w)
        if use.weight[1] == layer.part:
            total = gradient if total is None else total + gradient
        else:
            whole = torch.zeros_like(use.tape.parameters[name])
            use.weight[1](whole).copy_(gradient)
            total = layer.part(whole) if total is None else total + layer.part(whole)
    return total


def by_rest(layer: Layer, space: Space, tangents: Tangents) -> Update:
    """(D (N^T R{X})^T) N^T."""
    assert space.rest is not None
    features = space.features - (layer.bias is not None)
    probe = space.rest[:features].T
    total: Tensor | None = None
    for use, x_dot in zip(layer.uses, tangents, strict=True):
        if x_dot is None or use.D is None:
            continue
        w = use.part(use.tape.parameters)
        along = use.operator.apply(x_dot, probe.reshape(-1, *w.shape[1:]))
        left = _paired(use.D, along, use.operator.channel)
        total = left if total is None else total + left
    if total is None:
        return Update(None, with_ones(_zeros(layer), layer))
    return Update(total, space.rest.T)


def by_columns(layer: Layer, space: Space, tangents: Tangents) -> Update:
    """D (P R{X})^T."""
    assert space.span is not None
    given = [(u.D, x) for u, x in zip(layer.uses, tangents, strict=True) if x is not None]
    rows = [(flat(D), flat(x)) for D, x in given if D is not None]
    if not rows:
        return Update(None, with_ones(_zeros(layer), layer))
    D = torch.cat([d for d, _ in rows]) if len(rows) > 1 else rows[0][0]
    x_dot = torch.cat([x for _, x in rows]) if len(rows) > 1 else rows[0][1]
    Q = space.span
    along = product(x_dot, Q[: x_dot.shape[1]])
    free = with_ones(x_dot, layer) - product(along, Q.T)
    return Update(D.T, free)


def cheapest(layer: Layer, space: Space) -> Order:
    """The order with the fewest multiply-adds."""
    operator = layer.uses[0].operator
    plain = type(operator) is Linear or (type(operator) is Convolution and operator.groups == 1)
    if not plain or any(use.weight[1] != layer.part for use in layer.uses):
        return by_weight
    columns = sum(use.columns for use in layer.uses)
    rows, features = layer.shape
    narrow = space.free if space.rest is not None else features - space.free
    costs: dict[Order, int] = {by_weight: rows * features * (columns + 2 * narrow)}
    if space.rest is not None:
        costs[by_rest] = space.free * (columns * (rows + features) + rows * features)
    elif type(operator) is Linear:
        costs[by_columns] = features * columns * (2 * narrow + rows)
    return min(costs, key=lambda order: costs[order])


def _paired(D: Tensor, along: Tensor, channel: int) -> Tensor:
    """Sum over all columns of D [rows] and ``along`` [k]: [rows, k]."""
    if channel == -1:
        return product(flat(D).T, flat(along))
    return torch.bmm(D.flatten(2), along.flatten(2).mT).sum(0)


def with_ones(matrix: Tensor, layer: Layer) -> Tensor:
    """[..., rows, features] with a feature for the bias: the tangent of the ones is zero."""
    if layer.bias is None:
        return matrix
    return torch.cat([matrix, matrix.new_zeros(*matrix.shape[:-1], 1)], dim=-1)


def _zeros(layer: Layer) -> Tensor:
    rows, features = layer.shape
    weight = layer.uses[0].tape.parameters[layer.weight]
    return weight.new_zeros(rows, features - (layer.bias is not None))
