"""Where the features of every layer go, call by call.

What a layer makes is labelled, and views, copies and constants carry the label on. Layers, scalar
products, attention and batch norm are joints. Any other use spoils features for good: a sum with
something else, an activation, an output of the model.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from baselines.gauge.flow.features import Features, Side, fresh
from baselines.gauge.flow.joints import Column, Joints, Made, Normed, dot_of, mixed
from teleport_core.forward.hooks import HookReadings
from teleport_core.layers.view import View, view_of
from teleport_core.layers.watch import READS
from teleport_core.problem import Parameters
from teleport_core.torch_private import (
    multi_head_attention,
    tensor_property,
    transform_level,
    tree_leaves,
)

Known = Callable[..., bool]

# Of a parameter these are the parameter still; of features each keeps its own.
VIEWS = {
    torch.split, torch.chunk, torch.unbind, torch.narrow, torch.t, torch.transpose,
    torch.squeeze, torch.unsqueeze, torch.flatten, torch.select, torch.permute, torch.reshape,
    torch.movedim, torch.swapaxes, torch.unflatten, torch.repeat_interleave,
    Tensor.split, Tensor.chunk, Tensor.unbind, Tensor.narrow, Tensor.t, Tensor.transpose,
    Tensor.squeeze, Tensor.unsqueeze, Tensor.flatten, Tensor.select, Tensor.permute,
    Tensor.reshape, Tensor.view, Tensor.movedim, Tensor.swapaxes, Tensor.unflatten,
    Tensor.repeat_interleave, Tensor.expand, Tensor.__getitem__,
    *map(tensor_property, ("T", "mT")),
}  # fmt: skip


# What is told of a tensor without its values.
_OF_SHAPE = (int, str, torch.Size, torch.dtype, torch.device, torch.layout, torch.memory_format)


class Flow(TorchFunctionMode):
    """Labels tensors and takes down joints.

    Attributes:
        joints: what was seen.
        readings: what hooks that watch have read.

    Args:
        leaves: the parameters that the model is run with.
        buffers: names of the buffers that it is run with, by id, once a batch norm has some.
        known: what calls do to features; each entry is told the flow, what was made and the
            arguments, and returns whether it has dealt with the call.
    """

    def __init__(
        self, leaves: Parameters, buffers: Callable[[], dict[int, str]], known: dict[Any, Known]
    ) -> None:
        super().__init__()
        self.joints = Joints()
        self._leaves, self._buffers, self._known = leaves, buffers, known
        # A tensor is kept as long as its id is.
        self._parameters: dict[int, tuple[Tensor, str]] = {
            id(leaf): (leaf, name) for name, leaf in leaves.items()
        }
        self._labels: dict[int, tuple[Tensor, Features]] = {}
        self._inside = False
        self.readings = HookReadings(self._used)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        tensors = [t for t in tree_leaves((args, given)) if isinstance(t, Tensor)]
        if not any(self.name(t) or self.label(t) for t in tensors):
            return func(*args, **given)
        if func is F.multi_head_attention_forward and not self._inside:
            return self._taken_apart(args, given)
        result = func(*args, **given)
        # Inside of torch.vmap a tensor is another than the one that comes out.
        if transform_level() is not None or not self._followed(func, result, args, given, tensors):
            self._spoil(func, result, tensors)
        return result

    def name(self, value: Any) -> str | None:
        """The parameter that something is, or is a view of."""
        return self._parameters[id(value)][1] if id(value) in self._parameters else None

    def label(self, value: Any) -> Features | None:
        """The features in a tensor."""
        return self._labels[id(value)][1] if id(value) in self._labels else None

    def put(self, made: Tensor, label: Features | None) -> bool:
        """Label a tensor; False where there is nothing to label it with."""
        if label is None:
            return False
        self._labels[id(made)] = (made, label)
        return True

    def end(self, output: Any) -> None:
        """What the model returns is used."""
        self._spoil("the output of the model", None, tree_leaves(output))

    def _taken_apart(self, args: Any, given: Any) -> Any:
        self._inside = True
        try:
            with self:
                return multi_head_attention(*args, **given)
        finally:
            self._inside = False

    def _followed(
        self, func: Any, result: Any, args: Any, given: Any, tensors: list[Tensor]
    ) -> bool:
        known = self._known.get(func)
        if known is not None and known(self, result, *args, **given):
            return True
        return func in VIEWS and self._carried(func, result, args, given, tensors)

    def _carried(
        self, func: Any, result: Any, args: Any, given: Any, tensors: list[Tensor]
    ) -> bool:
        """Whether a view of a parameter or of features is known as one."""
        if len(tensors) != 1 or not args or args[0] is not tensors[0]:
            return False
        name, label = self.name(args[0]), self.label(args[0])
        made = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
        if name is not None:
            leaf = self._leaves[name]
            if any(t is not leaf and t._base is not leaf for t in made):
                return False
            self._parameters |= {id(t): (t, name) for t in made}
            return True
        if label is None or any(t.dtype != args[0].dtype for t in made):
            return False
        again = Tensor.reshape if func is Tensor.view else func
        labels = label.parts(lambda x: again(x, *args[1:], **given))
        return all(self.put(t, each) for t, each in zip(made, labels, strict=True))

    def _spoil(self, func: Any, result: Any, tensors: list[Any]) -> None:
        """Reading a shape is no use; reading values, an assignment or making a tensor is."""
        leaves = [x for x in tree_leaves(result) if self.name(x) is None]
        told = all(isinstance(leaf, _OF_SHAPE) for leaf in leaves)
        if told and result is not None and func not in READS:
            return
        why = func if isinstance(func, str) else getattr(func, "__name__", str(func))
        used = self.readings.note
        if result is None or any(isinstance(x, Tensor) and x.requires_grad for x in leaves):
            used = self._used
        for tensor in tensors:
            used(tensor, why)

    def _used(self, tensor: Any, why: str) -> None:
        name, label = self.name(tensor), self.label(tensor)
        if label is not None:
            self.joints.spoil(label, why)
        if name is not None:
            self.joints.others.setdefault(name, why)

    # --- joints ---------------------------------------------------------------------------------

    def part(self, tensor: Tensor, *, turned: bool = False) -> tuple[str, View] | None:
        """Which rows of a parameter, or of its transpose, something is; None for anything else.

        ``turned`` asks for its transpose.
        """
        name = self.name(tensor)
        if name is None:
            return None
        view = view_of(tensor.mT if turned else tensor, self._leaves[name])
        return None if view is None or view.block is not None else (name, view)

    def layer(
        self,
        made: Tensor,
        x: Tensor,
        weight: tuple[str, View] | None,
        bias: Any,
        dim: int,
        *,
        groups: int = 1,
    ) -> bool:
        """A layer with a weight [out, in, ...]; features lie along ``dim`` of inputs and outputs.

        Of several groups each makes its features of inputs of its own.
        """
        dense = made.layout is torch.strided and not made.is_nested
        if weight is None or self.name(x) is not None or not dense:
            return False
        name, view = weight
        side = Side(name, int(view.transposed))
        label = self.label(x)
        column = (
            self._column(label, Side(name, 1 - side.axis), view.rows, dim) if groups == 1 else None
        )
        if label is not None and column is None:
            order = "features in another order" if groups == 1 else "some channels a group"
            self.joints.spoil(label, f"a layer that takes {order}")
        self.joints.put_in(Side(name, 1 - side.axis), view.rows, column)
        start = view.rows[0] if view.rows else 0
        stop = start + made.shape[dim]
        numbers = torch.arange(start, stop, device=made.device)
        out = fresh(side, numbers, made, dim, numbers.view(groups, -1) if groups > 1 else None)
        self._make(out, start, stop, bias)
        return self.put(made, out)

    def _make(self, out: Features, start: int, stop: int, bias: Any) -> None:
        """Features that are made in one call, with a parameter or a part of one for a bias."""
        name = self.name(bias)
        view = None if name is None else view_of(bias, self._leaves[name])
        if bias is not None and (view is None or bias.shape != (stop - start,)):
            self.joints.spoil(out, "a sum")
            if name is not None:
                self.joints.others.setdefault(name, "a sum")
            name = None
        shift = view.rows[0] - start if view and view.rows else -start
        self.joints.made.setdefault(out.side, []).append(Made(start, stop, name, shift))

    def gain(self, made: Tensor, weight: Tensor, bias: Any) -> bool:
        """A gain, and perhaps a bias, for each entry of the last dimension: gamma * x + beta."""
        name = self.name(weight)
        if name is None or weight is not self._leaves[name] or weight.dim() != 1:
            return False
        if made.shape[-1:] != weight.shape:
            return False
        numbers = torch.arange(len(weight), device=made.device)
        out = fresh(Side(name, 0), numbers, made, -1, numbers[:, None])
        self._make(out, 0, len(weight), bias)
        return self.put(made, out)

    def dot(self, a: Features | None, b: Features | None) -> bool:
        """Scalar products of a [..., m, r] with b [..., n, r], labelled or not."""
        found = None
        if a is not None and b is not None and a.blocks is None and b.blocks is None:
            found = dot_of(a, b)
        if found is not None:
            self.joints.dots.append(found)
        else:
            for label in (a, b):
                if label is not None:
                    self.joints.spoil(label, "a scalar product with others")
        return True

    def mix(self, made: Tensor, v: Features | None) -> bool:
        """P v with v [..., n, r]."""
        return v is None or self.put(made, mixed(v, made.shape))

    def product(self, left: Tensor, right: Tensor) -> bool:
        """B A with two parameters, B [out, r] and A [r, in]."""
        found_b, found_a = self.part(left), self.part(right)
        if found_b is None or found_a is None or left.dim() != 2 or right.dim() != 2:
            return False
        (b, of_b), (a, of_a) = found_b, found_a
        if of_a.rows is not None or of_b.rows is not None:
            return False
        side, weight = Side(a, int(of_a.transposed)), Side(b, 1 - int(of_b.transposed))
        rows = torch.arange(right.shape[0], device=right.device)
        self.joints.put_in(weight, None, Column(side, rows, None, weight, None))
        self.joints.made.setdefault(side, []).append(Made(0, len(rows)))
        # What the product is used for is not followed: the other sides stay.
        self.joints.put_in(Side(a, 1 - side.axis), None, None)
        self.joints.put_in(Side(b, 1 - weight.axis), None, None)
        return True

    def norm(self, made: Tensor, x: Tensor, statistics: tuple[Any, Any], eps: float) -> bool:
        """A batch norm over dimension 1, by statistics of its own or, with None, of the batch."""
        del made
        label = self.label(x)
        rows = None if label is None else label.along(1)
        names = [self._buffers().get(id(buffer)) for buffer in statistics]
        kept = statistics[0] is not None
        if label is None or rows is None or (kept and None in names):
            return False
        found = Normed(label.side, rows, names[0], names[1], eps)
        for name in names if kept else []:
            self.joints.put_in(Side(str(name), 0), None, None)
        self.joints.normed.append(found)
        return True

    @staticmethod
    def _column(
        label: Features | None, weight: Side, within: tuple[int, int] | None, dim: int
    ) -> Column | None:
        rows = None if label is None else label.along(dim)
        if label is None or rows is None:
            return None
        return Column(label.side, rows, label.blocks, weight, within)
