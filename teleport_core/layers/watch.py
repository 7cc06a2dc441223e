"""Which parameters are linear in which inputs: found by watching one forward pass.

A weight may move in the null space of its inputs only if every one of its uses is known to be
linear. So each use of each parameter is watched. Calls that have an adapter are taken apart into
linear uses; views and reads of a shape are no use; whatever else makes a tensor holds the
parameter fixed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from teleport_core.errors import UNSEEN_USE, ModelError
from teleport_core.forward.hooks import HookReadings
from teleport_core.layers.differentiable_twice import twice_differentiable
from teleport_core.layers.operator import Operator, is_weight, use
from teleport_core.layers.registry import ONCE_DIFFERENTIABLE, Adapter, adapter_of
from teleport_core.layers.tape import Kept, Tape, Use
from teleport_core.layers.view import View, view_of
from teleport_core.problem import Parameters, Problem
from teleport_core.torch_private import (
    has_gradient,
    tensor_property,
    transform_level,
    tree_leaves,
)
from teleport_core.verification.model_checks import refuse_autocast

_VIEWS = {
    torch.split, torch.chunk, torch.unbind, torch.narrow, torch.t, torch.transpose,
    torch.squeeze, torch.unsqueeze, torch.flatten, torch.select, torch.permute,
    Tensor.split, Tensor.chunk, Tensor.unbind, Tensor.narrow, Tensor.t, Tensor.transpose,
    Tensor.squeeze, Tensor.unsqueeze, Tensor.flatten, Tensor.select, Tensor.permute,
    Tensor.view, Tensor.reshape, Tensor.__getitem__,
    *map(tensor_property, ("T", "mT")),
}  # fmt: skip


# What comes of them depends on the values of a parameter, and no graph shows it.
READS = {
    torch.allclose, torch.equal, torch.is_nonzero,
    Tensor.allclose, Tensor.equal, Tensor.is_nonzero,
    Tensor.item, Tensor.numpy, Tensor.tolist,
    Tensor.__array__, Tensor.__bool__, Tensor.__complex__, Tensor.__contains__,
    Tensor.__float__, Tensor.__format__, Tensor.__index__, Tensor.__int__,
}  # fmt: skip


@dataclass
class Seen:
    """One forward pass as it was watched.

    Attributes:
        output: what the model returned, with its graph.
        leaves: the parameters that the model was run with.
        uses: every linear use of a counted parameter, in order.
        inputs: of the uses, with their graph.
        rows: parameters of which rows are looked up, and which rows.
        others: parameters with any other use, and the name of one.
        fused: whether a call was taken apart that cannot be differentiated twice.
    """

    output: Any
    leaves: Parameters
    tape: Tape
    uses: list[Use] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    rows: dict[str, list[Tensor]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    fused: bool = False

    def drop_graph(self) -> None:
        """Forget everything that holds the graph; uses keep their inputs."""
        self.output, self.inputs = None, []


class _Watch(TorchFunctionMode):
    """Takes calls apart by their adapters and records what each counted parameter is used for."""

    def __init__(self, leaves: Parameters, tape: Tape) -> None:
        super().__init__()
        self.seen = Seen(None, leaves, tape)
        # A view is kept as long as its id is.
        self._tracked = {id(leaf): (leaf, name) for name, leaf in leaves.items()}
        self._inside: set[Any] = set()
        self.readings = HookReadings(self._others)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        if func is use:
            return self._use(*args, **given)
        if func is is_weight:
            return self._name(*args) is not None
        names = {n for n in map(self._name, tree_leaves((args, given))) if n}
        if transform_level() is not None:
            self._hold_all(names, "torch.func or torch.vmap")
            names = set()
        once = func in ONCE_DIFFERENTIABLE
        if not names and not once:
            return func(*args, **given)
        if func is F.embedding and self._look_up(*args, **given):
            return func(*args, **given)
        adapter = adapter_of(func)
        if adapter is not None and func not in self._inside:
            self.seen.fused |= once
            return self._apart(func, adapter, args, given)
        result = func(*args, **given)
        if names:
            self._note(func, result, names)
        return result

    def _apart(self, func: Any, adapter: Adapter, args: Any, given: Any) -> Any:
        """The adapter's value, computed under watch."""
        self._inside.add(func)
        try:
            with self:
                return adapter(*args, **given)
        finally:
            self._inside.discard(func)

    def _name(self, value: Any) -> str | None:
        return self._tracked[id(value)][1] if id(value) in self._tracked else None

    def _note(self, func: Callable[..., Any], result: Any, names: set[str]) -> None:
        """Reading a shape or taking a view is no use; reading values or making a tensor is."""
        if func in READS:
            self.readings.note(func, names)
        elif result is None:  # an assignment
            self._others(func, names)
        for made in tree_leaves(result):
            if not isinstance(made, Tensor) or id(made) in self._tracked:
                continue
            leaf = self.seen.leaves[next(iter(names))]
            if func in _VIEWS and len(names) == 1 and made._base is leaf:
                self._tracked[id(made)] = (made, next(iter(names)))
            elif made.requires_grad:
                self._others(func, names)
            else:
                self.readings.note(func, names)

    def _others(self, func: Callable[..., Any], names: set[str]) -> None:
        self._hold_all(names, getattr(func, "__name__", str(func)))

    def _hold_all(self, names: set[str], why: str) -> None:
        for name in names:
            self.seen.others.setdefault(name, why)

    def _use(
        self, operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        refuse_autocast(x.device.type)
        if x.is_nested:
            raise ModelError(
                "expected padded or sparse inputs of layers; one is a nested tensor, of which "
                "torch has no second derivative: pad it with torch.nested.to_padded_tensor"
            )
        dense = x.layout is torch.strided
        found = self._part(weight) if dense else None
        self._hold((x,), "as an input")
        if found is None:
            why = type(operator).__name__.lower() if dense else "a product with a sparse input"
            self._hold((weight, bias), why)
            return operator.forward(x, weight, bias)
        tape = self.seen.tape
        of_bias = self._part(bias)
        one = Use(
            operator, found, of_bias, x.detach(), not has_gradient(x), tape, version=x._version
        )
        self.seen.uses.append(one)
        self.seen.inputs.append(x)
        z: Tensor = Kept.apply(x, tape.along, one)  # type: ignore[no-untyped-call]
        if bias is None or of_bias is not None:
            return z
        self._hold((bias,), "as a bias")
        return z + operator.along_channel(bias, z)

    def _part(self, tensor: Tensor | None) -> tuple[str, View] | None:
        """The counted parameter of which ``tensor`` is a part that can move, and which part."""
        name = self._name(tensor)
        if name is None or tensor is None or not self.seen.leaves[name].requires_grad:
            return None
        if tensor.is_complex():  # updates and null spaces are of real numbers
            self._hold((tensor,), "complex arithmetic")
            return None
        view = view_of(tensor, self.seen.leaves[name])
        return None if view is None else (name, view)

    def _hold(self, tensors: tuple[Tensor | None, ...], why: str) -> None:
        for name in map(self._name, tensors):
            if name is not None:
                self.seen.others.setdefault(name, why)

    def _look_up(
        self,
        input: Tensor,  # noqa: A002
        weight: Tensor,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> bool:
        """Rows of a table: they must not move, the others may."""
        del norm_type, padding_idx
        name = self._name(weight)
        if name is None or weight is not self.seen.leaves[name] or max_norm is not None:
            return False
        if scale_grad_by_freq or sparse:
            return False
        self.seen.rows.setdefault(name, []).append(input)
        return True


def watch(problem: Problem) -> Seen:
    """Run the model once, watched, and keep the graph.

    Raises:
        ModelError: an input of a layer is overwritten later in the forward pass.
    """
    leaves = problem.leaves(problem.detached())
    versions = {name: leaf._version for name, leaf in leaves.items()}
    first = next(iter(leaves.values()))
    tape = Tape(
        parameters={name: leaf.detach() for name, leaf in leaves.items()},
        along=first.detach().new_zeros(()).requires_grad_(True),
    )
    mode = _Watch(leaves, tape)
    hooks = mode.readings.of(problem.model)
    try:
        with twice_differentiable(), hooks, mode, torch.enable_grad():
            output = problem.output(leaves)
    except RuntimeError as error:
        if "appears to not have been used in the graph" not in str(error):
            raise
        # A gradient by a parameter, taken on the way: the uses are functions of our own.
        raise ModelError(f"expected to see every use of every weight; {UNSEEN_USE}") from error
    for one in mode.seen.uses:
        if one.x._version != one.version:
            raise ModelError(
                f"expected the inputs of layers to be left alone; that of {one.weight[0]} is "
                "overwritten later in the forward pass: use the operation that is not in place"
            )
    for name, leaf in leaves.items():
        if leaf._version != versions[name]:
            mode.seen.others.setdefault(name, "the forward pass, which overwrites it")
    mode.seen.output = output
    return mode.seen
