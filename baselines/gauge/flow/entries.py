"""Calls that move entries about, or scale them by constants: every entry is a feature still.

Each function has the arguments of its call, after the flow and what the call has made.
"""

# ruff: noqa: A002  (they have the argument names of their functions)

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.gauge.flow.features import Features, added, joined
from baselines.gauge.flow.flow import Flow, Known
from teleport_core.torch_private import tree_leaves


def multiply(flow: Flow, made: Tensor, input: Any, other: Any) -> bool:
    """By a constant, or by the gain of a norm that is written out."""
    for x, factor in ((input, other), (other, input)):
        label = flow.label(x)
        if label is None and flow.label(factor) is None and isinstance(x, Tensor):
            if flow.name(x) is None and flow.name(factor) and flow.gain(made, factor, None):
                return True
        elif label is not None and x.shape == made.shape and _is_constant(flow, factor):
            return flow.put(made, label.scaled(factor))
    return False


def divide(flow: Flow, made: Tensor, input: Any, other: Any) -> bool:
    """By a constant."""
    label = flow.label(input)
    if label is None or not _is_constant(flow, other) or made.shape != input.shape:
        return False
    return flow.put(made, label.scaled(1 / other))


def negate(flow: Flow, made: Tensor, input: Tensor) -> bool:
    """-x."""
    label = flow.label(input)
    return label is not None and flow.put(made, label.scaled(-1.0))


def add(flow: Flow, made: Tensor, input: Any, other: Any) -> bool:
    """Features that are rotated."""
    return _sum(flow, made, input, other, 1.0)


def subtract(flow: Flow, made: Tensor, input: Any, other: Any) -> bool:
    """Likewise."""
    return _sum(flow, made, input, other, -1.0)


def concatenate(flow: Flow, made: Tensor, tensors: Any, dim: int = 0) -> bool:
    """Parts of features, or features and nothing, as where a cache begins."""
    return _joined(flow, made, tensors, lambda each: torch.cat(each, dim))


def stack(flow: Flow, made: Tensor, tensors: Any, dim: int = 0) -> bool:
    """Parts of features."""
    return _joined(flow, made, tensors, lambda each: torch.stack(each, dim))


def dropout(
    flow: Flow, made: Tensor, input: Tensor, p: float = 0.5, training: bool = True,
    inplace: bool = False,
) -> bool:  # fmt: skip
    """That drops nothing."""
    del inplace
    label = flow.label(input)
    idle = not training or p == 0
    return idle and label is not None and flow.put(made, label)


def same(flow: Flow, made: Any, input: Tensor, *args: Any, **given: Any) -> bool:
    """A copy, in a dtype that holds no less."""
    del args, given
    label = flow.label(input)
    if label is None or not isinstance(made, Tensor) or not made.is_floating_point():
        return False
    if made is input:
        return True
    holds = torch.finfo(made.dtype).eps <= torch.finfo(input.dtype).eps
    return holds and made.shape == input.shape and flow.put(made, label)


def shaped_like(flow: Flow, made: Tensor, input: Tensor, other: Tensor) -> bool:
    """In the shape of another tensor."""
    del other
    label = flow.label(input)
    return label is not None and flow.put(made, label.parts(lambda x: x.reshape(made.shape))[0])


def same_channels(flow: Flow, made: Any, input: Tensor, *args: Any, **given: Any) -> bool:
    """A pooling: channel by channel, and in proportion to positive scales."""
    del args, given
    label = flow.label(input)
    dim = _channels_of(label, input)
    if label is None or dim is None or not isinstance(made, Tensor):
        return False
    numbers = label.along(dim)
    assert numbers is not None
    shape = [-1 if d == dim else 1 for d in range(made.dim())]
    term = label.terms[0]._replace(feature=numbers.view(shape).expand(made.shape), scale=1.0)
    # Of the largest entries only a scale for each channel comes out as it went in.
    blocks = torch.unique(numbers)[:, None]
    return flow.put(made, Features(label.side, (term,), blocks))


def _channels_of(label: Features | None, x: Tensor) -> int | None:
    """Dimension 1 of a batch, if each of its places is one feature."""
    return 1 if label is not None and x.dim() > 2 and label.along(1) is not None else None


def _is_constant(flow: Flow, factor: Any) -> bool:
    if isinstance(factor, Tensor):
        known = flow.label(factor) is not None or flow.name(factor) is not None
        return not known and not factor.requires_grad
    return isinstance(factor, (int, float))


def _sum(flow: Flow, made: Tensor, a: Any, b: Any, sign: float) -> bool:
    labels = flow.label(a), flow.label(b)
    if labels[0] is None or labels[1] is None or a.shape != b.shape:
        return False
    return flow.put(made, added(labels[0], labels[1].scaled(sign)))


def _joined(flow: Flow, made: Tensor, tensors: Any, function: Callable[..., Tensor]) -> bool:
    filled = [t for t in tree_leaves(tensors) if t.numel()]
    labels = [label for label in map(flow.label, filled) if label is not None]
    if not labels or len(labels) != len(filled):
        return False
    return flow.put(made, joined(labels, function))


_POOLS = (
    F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.max_pool1d, torch.max_pool2d, torch.max_pool3d,
    F.avg_pool1d, F.avg_pool2d, F.avg_pool3d,
    F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d,
    F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d,
)  # fmt: skip

ENTRIES: dict[Any, Known] = {
    **dict.fromkeys((torch.mul, Tensor.mul, Tensor.__mul__, Tensor.__rmul__), multiply),
    **dict.fromkeys((torch.div, Tensor.div, Tensor.__truediv__), divide),
    **dict.fromkeys((torch.neg, Tensor.neg, Tensor.__neg__), negate),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.__add__, Tensor.__radd__), add),
    **dict.fromkeys((torch.sub, Tensor.sub, Tensor.__sub__), subtract),
    **dict.fromkeys((torch.cat, torch.concat), concatenate),
    torch.stack: stack,
    F.dropout: dropout,
    **dict.fromkeys((torch.clone, Tensor.clone, Tensor.contiguous, Tensor.to), same),
    **dict.fromkeys((Tensor.float, Tensor.double, Tensor.type_as), same),
    **dict.fromkeys((Tensor.reshape_as, Tensor.view_as), shaped_like),
    **dict.fromkeys(_POOLS, same_channels),
}
