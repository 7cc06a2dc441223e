"""Calls that are joints: layers, products, attention and norms.

Each function has the arguments of its call, after the flow and what the call has made.
"""

# ruff: noqa: A002  (they have the argument names of their functions)

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.gauge.flow.features import Features
from baselines.gauge.flow.flow import Flow, Known
from teleport_core.layers.view import View


def linear(flow: Flow, made: Tensor, input: Tensor, weight: Tensor, bias: Any = None) -> bool:
    """A layer x W^T + b."""
    return weight.dim() == 2 and flow.layer(made, input, flow.part(weight), bias, -1)


def addmm(
    flow: Flow, made: Tensor, input: Tensor, mat1: Tensor, mat2: Tensor, *,
    beta: float = 1, alpha: float = 1,
) -> bool:  # fmt: skip
    """A layer b + x W with W [in, out], as GPT-2 has it."""
    return beta == alpha == 1 and _times(flow, made, mat1, mat2, input)


def matmul(flow: Flow, made: Tensor, input: Tensor, other: Tensor) -> bool:
    """A layer x W; B A of two parameters; queries that meet keys; weights that mix values."""
    names = flow.name(input), flow.name(other)
    if names[0] is not None and names[1] is not None:
        return flow.product(input, other)
    if names[1] is not None:
        return _times(flow, made, input, other, None)
    left, right = flow.label(input), flow.label(other)
    if names[0] is not None or min(input.dim(), other.dim()) < 2:
        return False
    if left is None:
        return flow.mix(made, right)
    turned = None if right is None else right.parts(lambda x: x.mT)[0]
    return flow.dot(left, turned)


def reversed_matmul(flow: Flow, made: Tensor, input: Tensor, other: Tensor) -> bool:
    """``Tensor.__rmatmul__``: other @ input."""
    return matmul(flow, made, other, input)


def baddbmm(
    flow: Flow, made: Tensor, input: Tensor, batch1: Tensor, batch2: Tensor, *,
    beta: float = 1, alpha: float = 1,
) -> bool:  # fmt: skip
    """Scores of queries and keys, added to a mask."""
    del beta, alpha
    known = flow.label(input) is not None or any(map(flow.name, (input, batch1, batch2)))
    return not known and matmul(flow, made, batch1, batch2)


def attention(
    flow: Flow, made: Tensor, query: Tensor, key: Tensor, value: Tensor,
    attn_mask: Tensor | None = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: float | None = None, enable_gqa: bool = False,
) -> bool:  # fmt: skip
    """Queries meet keys in scalar products; values are mixed by the softmax of them."""
    del dropout_p, is_causal, scale
    if any(map(flow.name, (query, key, value, attn_mask))) or flow.label(attn_mask) is not None:
        return False
    q, k, v = map(flow.label, (query, key, value))
    if enable_gqa:
        k, v = (_repeated(x, query.shape[-3]) for x in (k, v))
    flow.dot(q, k)
    if not flow.mix(made, v) and v is not None:
        flow.joints.spoil(v, "attention over features in another order")
    return True


def convolution(dims: int) -> Known:
    """Over so many dimensions; channels lie before them."""

    def convolve(
        flow: Flow, made: Tensor, input: Tensor, weight: Tensor, bias: Any = None,
        stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
    ) -> bool:  # fmt: skip
        del stride, padding, dilation
        found = flow.part(weight)
        if found is None or found[1] != View():
            return False
        return flow.layer(made, input, found, bias, -dims - 1, groups=groups)

    return convolve


def batch_norm(
    flow: Flow, made: Tensor, input: Tensor, running_mean: Any, running_var: Any,
    weight: Any = None, bias: Any = None, training: bool = False, momentum: Any = 0.1,
    eps: float = 1e-5,
) -> bool:  # fmt: skip
    """By the running statistics, or by those of the batch."""
    del momentum
    for gain in (weight, bias):
        name = flow.name(gain)
        if name is not None:
            flow.joints.others.setdefault(name, "batch_norm")
    statistics = (None, None) if training else (running_mean, running_var)
    return flow.label(input) is None or flow.norm(made, input, statistics, eps)


def layer_norm(
    flow: Flow, made: Tensor, input: Tensor, normalized_shape: Any, weight: Any = None,
    bias: Any = None, eps: float | None = None,
) -> bool:  # fmt: skip
    """Its gain; what it norms is used."""
    del normalized_shape, eps
    label = flow.label(input)
    if label is not None:
        flow.joints.spoil(label, "a norm")
    return flow.name(input) is None and flow.gain(made, weight, bias)


def rms_norm(
    flow: Flow, made: Tensor, input: Tensor, normalized_shape: Any, weight: Any = None,
    eps: float | None = None,
) -> bool:  # fmt: skip
    """Likewise, without a bias."""
    return layer_norm(flow, made, input, normalized_shape, weight, None, eps)


def _times(flow: Flow, made: Tensor, x: Tensor, weight: Tensor, bias: Any) -> bool:
    if weight.dim() != 2:
        return False
    return flow.layer(made, x, flow.part(weight, turned=True), bias, -1)


def _repeated(label: Features | None, heads: int) -> Features | None:
    if label is None:
        return None
    times = heads // label.terms[0].feature.shape[-3]
    return label.parts(lambda x: x.repeat_interleave(times, dim=-3))[0]


LAYERS: dict[Any, Known] = {
    F.linear: linear,
    **dict.fromkeys((torch.addmm, Tensor.addmm), addmm),
    **dict.fromkeys((torch.matmul, Tensor.matmul, Tensor.__matmul__), matmul),
    **dict.fromkeys((torch.mm, Tensor.mm, torch.bmm, Tensor.bmm), matmul),
    Tensor.__rmatmul__: reversed_matmul,
    **dict.fromkeys((torch.baddbmm, Tensor.baddbmm), baddbmm),
    F.scaled_dot_product_attention: attention,
    F.conv1d: convolution(1),
    F.conv2d: convolution(2),
    F.conv3d: convolution(3),
    **dict.fromkeys((F.batch_norm, torch.batch_norm), batch_norm),
    F.layer_norm: layer_norm,
    F.rms_norm: rms_norm,
}
