"""Whether a model is a chain of linear layers and elementwise maps on its batch: by running it.

What a forward method is made of, which modules wrap it and which hooks watch it does not matter;
what counts is which functions are called, and on what. The pass is abandoned at the first call that
does not fit.

Each layer's z = W x + b is handed to the model as a leaf of its own, so that one call of autograd
gives the slopes of all activations. What comes before the first layer must not depend on a
parameter; what comes behind the last one, the loss included, may be anything that uses none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from teleport_core import products
from teleport_core.errors import TeleportError
from teleport_core.forward.hooks import HookReadings
from teleport_core.layers.registry import adapter_of
from teleport_core.layers.watch import READS
from teleport_core.problem import Problem
from teleport_core.torch_private import has_gradient, transform_level, tree_leaves
from teleport_core.verification.model_checks import refuse_autocast

# All differentiable almost everywhere, and in each entry of one argument alone.
_ELEMENTWISE: set[Any] = {
    F.celu, F.elu, F.gelu, F.hardshrink, F.hardsigmoid, F.hardswish, F.hardtanh, F.leaky_relu,
    F.logsigmoid, F.mish, F.relu, F.relu6, F.selu, F.silu, F.softplus, F.softshrink, F.softsign,
    F.tanhshrink,
    torch.cos, torch.relu, torch.sigmoid, torch.sin, torch.tanh,
    Tensor.cos, Tensor.relu, Tensor.sigmoid, Tensor.sin, Tensor.tanh,
}  # fmt: skip


class NoChain(Exception):  # noqa: N818  (no error: the model is another kind)
    """A model is no chain; the text says why."""


@dataclass
class Link:
    """One layer as it was called.

    Attributes:
        weight: name of W [out, in].
        bias: name of b [out], or None.
        x: inputs [..., in], without their history.
        z: W x + b [..., out], a leaf.
        end: what the activations make of z, with its graph back to z.
    """

    weight: str
    bias: str | None
    x: Tensor
    z: Tensor
    end: Tensor


@dataclass(frozen=True)
class Chain:
    """All layers in order, and the loss with its graph back to the last z."""

    links: list[Link]
    loss: Tensor


def read_chain(problem: Problem) -> Chain:
    """Run model and loss once.

    Raises:
        NoChain: the model is none.
    """
    watch = _Watch(problem)
    with torch.enable_grad():
        try:
            with watch.readings.of(problem.model), watch:
                output = problem.output()
        except (NoChain, TeleportError):
            raise
        except Exception as error:
            # In place on a leaf, or a gradient taken on the way: the model alone runs.
            raise NoChain(f"cut at its layers it raises {type(error).__name__}") from error
        watch.require_untouched()
        loss = problem.loss_of(output)
    return Chain(watch.links, loss)


def is_chain(problem: Problem) -> bool:
    """Whether ``read_chain`` has an answer."""
    try:
        read_chain(problem)
    except NoChain:
        return False
    return True


class _Watch(TorchFunctionMode):
    """Takes each layer's z for a leaf, and follows what becomes of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.links: list[Link] = []
        self._names = {id(p): name for name, p in problem.parameters().items()}
        self._counted = {id(p) for p in problem.parameters().values() if p.requires_grad}
        self._used: set[str] = set()
        self._versions: list[tuple[Tensor, int]] = []
        self.readings = HookReadings(_refuse_use)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if transform_level() is not None:
            raise NoChain("torch.func or torch.vmap is used")
        if func is F.linear:
            return self._linear(*args, **given)
        end = self.links[-1].end if self.links else None
        if end is not None and func in _ELEMENTWISE and args and args[0] is end:
            if any(isinstance(other, Tensor) for other in (*args[1:], *given.values())):
                raise NoChain(f"{func.__name__} has an argument of its own for each entry")
            made = func(*args, **{k: v for k, v in given.items() if k != "inplace"})
            self._goes_on(made)
            return made
        return self._any(func, args, given, end)

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:  # noqa: A002
        names = [self._own(weight), None if bias is None else self._own(bias)]
        if self.links and input is not self.links[-1].end:
            raise NoChain(f"something else comes between {self.links[-1].weight} and {names[0]}")
        if not torch.is_grad_enabled():
            raise NoChain(f"{names[0]} is used without a gradient")
        if not self.links and has_gradient(input):
            raise NoChain(f"what comes before {names[0]} has a gradient")
        _require_plain(input, weight, bias)
        with torch.no_grad():
            x = input.detach()
            z = products.linear(x, weight, bias).requires_grad_(True)
        assert names[0] is not None
        self.links.append(Link(names[0], names[1], x, z, z))
        self._versions += [(input, input._version), (z, z._version)]
        return z

    def _own(self, parameter: Tensor) -> str:
        name = self._names.get(id(parameter))
        if name is None:
            raise NoChain("a layer's weight or bias is no parameter by itself")
        if name in self._used:
            raise NoChain(f"{name} is used twice")
        self._used.add(name)
        return name

    def _any(self, func: Callable[..., Any], args: Any, given: Any, end: Tensor | None) -> Any:
        """Any other call: a parameter may not be in it, and no activation may be written."""
        tensors = _tensors(args, given)
        of_parameters = any(id(tensor) in self._counted for tensor in tensors)
        if of_parameters and adapter_of(func) is not None:
            _refuse_use(func)  # before a convolution is computed in vain
        made = func(*args, **given)
        if of_parameters:
            found = [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
            if made is None or any(leaf.requires_grad for leaf in found):
                _refuse_use(func)
            elif func in READS or found:
                self.readings.note(func)
        alias = isinstance(made, Tensor) and end is not None and made is not end
        if alias and any(tensor is end for tensor in tensors) and _same_place(made, end):
            self._goes_on(made)  # dropout in eval mode, a reshape that changes nothing
        return made

    def _goes_on(self, made: Tensor) -> None:
        if not has_gradient(made):
            raise NoChain(f"the activation of {self.links[-1].weight} has no gradient")
        self.links[-1].end = made
        self._versions.append((made, made._version))

    def require_untouched(self) -> None:
        """Refuse activations that were written or hooked after they were made."""
        if not self.links:
            raise NoChain("no layer was called")
        if any(tensor._version != version for tensor, version in self._versions):
            raise NoChain("an activation is written in place")
        if any(tensor._backward_hooks for tensor, _ in self._versions):
            raise NoChain("an activation has a hook on its gradient")


def _refuse_use(func: Any) -> None:
    raise NoChain(f"a parameter is used in {getattr(func, '__name__', func)}")


def _tensors(args: Any, given: Any) -> list[Tensor]:
    plain = not given and all(isinstance(value, (Tensor, int, float, str)) for value in args)
    leaves = args if plain else tree_leaves((args, given))
    return [leaf for leaf in leaves if isinstance(leaf, Tensor)]


def _same_place(made: Tensor, end: Tensor | None) -> bool:
    assert end is not None
    same = (made.shape, made.stride(), made.dtype) == (end.shape, end.stride(), end.dtype)
    return same and has_gradient(made) and made.data_ptr() == end.data_ptr()


def _require_plain(x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    given = [x, weight] if bias is None else [x, weight, bias]
    if any(t.is_nested or t.layout is not torch.strided for t in given):
        raise NoChain("an input or a weight is sparse or nested")
    if len({(t.dtype, t.device) for t in given}) != 1:
        raise NoChain("inputs and layers differ in dtype or device")
    refuse_autocast(x.device.type)
    if x.is_complex():
        raise NoChain("inputs and layers are of complex numbers")
    if weight.dim() != 2 or (bias is not None and bias.shape != weight.shape[:1]) or not x.dim():
        raise NoChain("a layer's weight is no matrix, or its bias no vector")
