"""Functions by what they make of units with positive scales; what is in no table ends a scale.

All are positively homogeneous: f(s x) = s f(x) for s > 0.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from teleport_core.torch_private import tensor_property

POINTWISE: set[Any] = {
    F.leaky_relu, F.leaky_relu_, F.relu, F.relu_, F.prelu, Tensor.prelu,
    torch.relu, torch.relu_, Tensor.relu, Tensor.relu_,
    torch.abs, Tensor.abs, Tensor.__abs__, torch.neg, Tensor.neg, Tensor.__neg__,
    F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout,
    torch.dropout, torch.clone, torch.detach,
    Tensor.clone, Tensor.contiguous, Tensor.detach, Tensor.double, Tensor.float, Tensor.to,
}  # fmt: skip

SUMS: set[Any] = {
    torch.add, torch.sub, torch.subtract, torch.maximum, torch.minimum,
    Tensor.add, Tensor.add_, Tensor.__add__, Tensor.__radd__, Tensor.__iadd__,
    Tensor.sub, Tensor.sub_, Tensor.__sub__, Tensor.__isub__, Tensor.subtract,
    Tensor.maximum, Tensor.minimum,
}  # fmt: skip

PRODUCTS: set[Any] = {
    torch.mul, torch.multiply, Tensor.mul, Tensor.mul_, Tensor.multiply,
    Tensor.__mul__, Tensor.__rmul__, Tensor.__imul__,
}  # fmt: skip

QUOTIENTS: set[Any] = {
    torch.div, torch.divide, torch.true_divide, Tensor.div, Tensor.div_, Tensor.divide,
    Tensor.true_divide, Tensor.__truediv__, Tensor.__itruediv__,
}  # fmt: skip

# They only move entries, and do the same to labels.
ARRANGEMENTS: set[Any] = {
    torch.cat, torch.concat, torch.concatenate, torch.stack,
    torch.chunk, torch.split, torch.unbind, torch.narrow, torch.select,
    torch.flatten, torch.unflatten, torch.reshape, torch.squeeze, torch.unsqueeze,
    torch.movedim, torch.permute, torch.swapaxes, torch.transpose, torch.t,
    torch.flip, torch.roll, torch.channel_shuffle, torch.pixel_shuffle, torch.pixel_unshuffle,
    Tensor.chunk, Tensor.split, Tensor.unbind, Tensor.narrow, Tensor.select, Tensor.__getitem__,
    Tensor.flatten, Tensor.unflatten, Tensor.reshape, Tensor.reshape_as, Tensor.view,
    Tensor.view_as, Tensor.squeeze, Tensor.unsqueeze,
    Tensor.movedim, Tensor.permute, Tensor.swapaxes, Tensor.transpose, Tensor.t,
    Tensor.expand, Tensor.expand_as, Tensor.repeat, Tensor.flip, Tensor.roll, Tensor.unfold,
    *map(tensor_property, ("T", "mT")),
}  # fmt: skip

MEANS: set[Any] = {
    torch.mean, torch.sum, torch.amax, torch.amin,
    Tensor.mean, Tensor.sum, Tensor.amax, Tensor.amin,
}  # fmt: skip

# And over how many axes, the last ones; None for all but the first two.
POOLS: dict[Any, int | None] = {
    **dict.fromkeys((F.max_pool1d, F.avg_pool1d, F.lp_pool1d), 1),
    **dict.fromkeys((F.max_pool2d, F.avg_pool2d, F.lp_pool2d), 2),
    **dict.fromkeys((F.max_pool3d, F.avg_pool3d, F.lp_pool3d), 3),
    **dict.fromkeys((torch.max_pool1d, torch.avg_pool1d), 1),
    **dict.fromkeys((torch.max_pool2d,), 2),
    **dict.fromkeys((torch.max_pool3d,), 3),
    **dict.fromkeys((F.adaptive_avg_pool1d, F.adaptive_max_pool1d, torch.adaptive_avg_pool1d), 1),
    **dict.fromkeys((F.adaptive_avg_pool2d, F.adaptive_max_pool2d), 2),
    **dict.fromkeys((F.adaptive_avg_pool3d, F.adaptive_max_pool3d), 3),
    **dict.fromkeys((F.interpolate, F.upsample, F.upsample_nearest, F.upsample_bilinear), None),
}

CONVOLUTIONS: set[Any] = {F.conv1d, F.conv2d, F.conv3d}
TRANSPOSED: set[Any] = {F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d}

# They tell a shape, and nothing of values; so does a property that is no tensor.
SHAPES: set[Any] = {
    Tensor.__len__, Tensor.dim, Tensor.element_size, Tensor.get_device, Tensor.is_complex,
    Tensor.is_contiguous, Tensor.is_floating_point, Tensor.ndimension, Tensor.nelement,
    Tensor.numel, Tensor.size, Tensor.stride, Tensor.storage_offset, Tensor.__hash__,
    torch.is_complex, torch.is_floating_point, torch.is_tensor, torch.numel,
}  # fmt: skip
