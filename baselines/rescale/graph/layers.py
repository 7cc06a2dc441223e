"""What the scale of a layer's parameter is, by the scales of the units below and above it.

A weight from unit i to unit j is multiplied by tau_j / tau_i, a bias of unit j by tau_j (Armenta et
al., Mathematics 11(2):480, 2023, Eq. 4 and 5).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from baselines.rescale.graph.units import Units, of_channels


class Use(NamedTuple):
    """One use of a parameter: its entries are multiplied by tau[over] / tau[under].

    Attributes:
        over: labels of units, of a shape that broadcasts to the parameter's.
        under: likewise.
    """

    over: Tensor
    under: Tensor


def linear(units: Units, x: Tensor, labels: Tensor, weight: Tensor) -> tuple[Use, Tensor, int]:
    """The use of W [out, in], labels of its outputs and along which axis those lie."""
    below = of_channels(units, labels, x.dim() - 1, weight.shape[1])
    above = units.fresh((weight.shape[0],))
    return Use(above[:, None], below[None, :]), above, x.dim() - 1


def convolution(
    units: Units, x: Tensor, labels: Tensor, weight: Tensor, groups: int
) -> tuple[Use, Tensor, int]:
    """The same of W [out, in / groups, ...]."""
    axis = x.dim() - weight.dim() + 1
    below = of_channels(units, labels, axis, x.shape[axis])
    above = units.fresh((weight.shape[0],))
    # Row j reads the inputs of its group.
    rows = below.reshape(groups, -1).repeat_interleave(weight.shape[0] // groups, 0)
    return Use(_behind(above[:, None], weight), _behind(rows, weight)), above, axis


def transposed(
    units: Units, x: Tensor, labels: Tensor, weight: Tensor, groups: int
) -> tuple[Use, Tensor, int]:
    """The same of W [in, out / groups, ...]."""
    axis = x.dim() - weight.dim() + 1
    below = of_channels(units, labels, axis, x.shape[axis])
    above = units.fresh((weight.shape[1] * groups,))
    # Row i writes the outputs of its group.
    rows = above.reshape(groups, -1).repeat_interleave(weight.shape[0] // groups, 0)
    return Use(_behind(rows, weight), _behind(below[:, None], weight)), above, axis


def offset(above: Tensor) -> Use:
    """The use of a bias, or of the gain of a norm, whose inputs keep their scale."""
    return Use(above, torch.zeros_like(above))


def along(above: Tensor, axis: int, dims: int) -> Tensor:
    """Labels of channels in the shape of an activation."""
    shape = [1] * dims
    shape[axis] = len(above)
    return above.reshape(shape)


def _behind(labels: Tensor, weight: Tensor) -> Tensor:
    """With an axis for each of a kernel's."""
    return labels.reshape(*labels.shape, *[1] * (weight.dim() - 2))
