"""The projections of all groups of a weight in one call each, and what the weight gains by them.

A depthwise convolution has as many groups as channels, each with a null space of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from teleport_core.layers import Layer
from teleport_core.nullspace.bases.spaces import Space
from teleport_core.problem import Parameters


@dataclass
class GroupsProjector:
    """U <- keep U + sign (U B) B^T for each group.

    Attributes:
        bases: B [groups, features, k], N of what is free or Q of the inputs, with columns of zeros
            where a group has fewer.
        sign: [groups, 1, 1], 1 for N and -1 for Q.
        keep: [groups, 1, 1], 1 for Q; 0 for N, and for a group that stays, whose B is zero.
    """

    bases: Tensor
    sign: Tensor
    keep: Tensor

    def project(self, update: Tensor) -> Tensor:
        """The free part of an update [groups, rows, features]; Eq. 12."""
        along = torch.bmm(update, self.bases).mul_(self.sign)
        return torch.baddbmm(self.keep * update, along, self.bases.mT)


def together(groups: int, spaces: Mapping[int, Space]) -> GroupsProjector:
    """Of the groups that move, by number; the others stay."""
    bases = {g: s.span if s.rest is None else s.rest for g, s in spaces.items()}
    moving = {group: basis for group, basis in bases.items() if basis is not None}
    one = next(iter(moving.values()))
    widest = max(basis.shape[1] for basis in moving.values())
    empty = one.new_zeros(len(one), widest)
    padded = [
        F.pad(basis, (0, widest - basis.shape[1]))
        if (basis := moving.get(group, empty)).shape[1] < widest
        else basis
        for group in range(groups)
    ]
    spans = [group in spaces and spaces[group].rest is None for group in range(groups)]
    keep = one.new_tensor(spans)[:, None, None]
    return GroupsProjector(torch.stack(padded), 1 - 2 * keep, keep)


@dataclass
class GroupsUpdate:
    """What all groups gain per unit of the learning rate, [groups, rows, features]."""

    right: Tensor

    def matrix(self) -> Tensor:
        """[groups, rows, features]."""
        return self.right

    def write(self, layer: Layer, values: Parameters, lr: float) -> None:
        """Add it to the values, in place."""
        rows, gained = layer.uses[0].operator.rows(layer.part(values[layer.weight])), self.right
        if layer.bias is not None:
            values[layer.bias].view(len(gained), -1).add_(gained[..., -1], alpha=lr)
            gained = gained[..., :-1]
        rows.add_(gained.reshape(rows.shape), alpha=lr)
