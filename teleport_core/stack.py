"""Models that are stacks of linear layers and elementwise activations, read as such.

Only ``nn.Sequential`` tells the order of its forward pass, so only it is read; any other module
with a forward of its own is not a stack as far as anybody can know.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from torch import Tensor, nn

from teleport_core.problem import Problem
from teleport_core.torch_private import DropoutNd

Elementwise = Callable[[Tensor], Tensor]

# Exact types: a subclass may have a forward of its own. All are differentiable almost everywhere.
ELEMENTWISE = (
    nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish,
    nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.ReLU, nn.ReLU6,
    nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink, nn.Softsign,
    nn.Tanh, nn.Tanhshrink,
)  # fmt: skip


_STACK = (
    "a stack of nn.Linear with at most one elementwise activation between two of them, optionally "
    "after an nn.Flatten"
)
_CURE = "write it as an nn.Sequential of these, or use method='nullspace', which takes other models"


@dataclass(frozen=True)
class Refusal:
    """Why a model is no stack; as a text what was expected, what came and what to do."""

    found: str
    expected: str = _STACK
    cure: str = _CURE

    def __str__(self) -> str:
        return f"expected {self.expected}; {self.found}: {self.cure}"


@dataclass(frozen=True)
class Sigma:
    """An elementwise module, where it stands, and its function, never written into its argument."""

    place: str
    module: nn.Module

    @property
    def forward(self) -> Elementwise:
        """The function."""
        if not getattr(self.module, "inplace", False):
            return self.module.forward
        plain = copy.copy(self.module)
        plain.inplace = False  # type: ignore[assignment]
        return plain.forward


@dataclass(frozen=True)
class StackLayer:
    """One nn.Linear and the activations behind it, in order; none behind the last layer."""

    place: str
    weight: str
    bias: str | None
    in_features: int
    out_features: int
    activations: list[Sigma] = field(default_factory=list)


@dataclass(frozen=True)
class Stack:
    """A stack of layers; ``flattens`` run on the input first."""

    flattens: list[nn.Flatten] = field(default_factory=list)
    layers: list[StackLayer] = field(default_factory=list)


def read_stack(problem: Problem) -> Stack | Refusal:
    """The stack that a model is on its batch, or what is in the way, named."""
    stack = read_model(problem.model)
    if isinstance(stack, Refusal):
        return stack
    if any(module._backward_hooks for module in problem.model.modules()):
        return Refusal("a module has a backward hook")
    inputs = problem.tensors()
    if len(inputs) != 1:
        return Refusal("the model takes more than one input tensor")
    if len({(p.dtype, p.device) for p in [*problem.model.parameters(), *inputs]}) != 1:
        return Refusal("inputs and layers differ in dtype or device")
    if inputs[0].is_complex():
        return Refusal("inputs and layers are of complex numbers")
    return stack


def read_model(model: nn.Module) -> Stack | Refusal:
    """The same for a model alone."""
    stack = Stack()
    names: dict[int, str] = {}
    for path, module in _in_order("", model):
        refusal = _meet(stack, names, path, module)
        if refusal is not None:
            return refusal
    if not stack.layers:
        return Refusal(f"{_place('', model)} has none", expected="at least one nn.Linear")
    last = stack.layers[-1].activations
    return Refusal(f"{last[0].place} follows the last nn.Linear") if last else stack


def _in_order(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules in the order of the forward pass."""
    plain = type(module).forward is nn.Sequential.forward and "forward" not in vars(module)
    if not plain or _has_hooks(module):
        yield path, module
        return
    # named_children() would leave out a module's second use.
    for name, child in module._modules.items():
        if child is not None:
            yield from _in_order(_join(path, name), child)


def _meet(stack: Stack, names: dict[int, str], path: str, module: nn.Module) -> Refusal | None:
    """Put the next module into the stack, or say why it does not fit."""
    place, kind = _place(path, module), type(module)
    if _has_hooks(module) or "forward" in vars(module):
        return _own_ways(place, module)
    if kind is nn.Linear:
        return _meet_linear(stack, names, path, module)
    if kind in ELEMENTWISE:
        if not stack.layers:
            return Refusal(f"{place} comes before the first nn.Linear")
        stack.layers[-1].activations.append(Sigma(place, module))
    elif isinstance(module, nn.Flatten) and kind is nn.Flatten and not stack.layers:
        stack.flattens.append(module)
    elif isinstance(module, DropoutNd):
        if module.training and module.p > 0:
            return Refusal(
                f"{place} drops with p={module.p} in train mode",
                expected="a model without randomness",
                cure="call model.eval() or set p=0",
            )
    elif kind is not nn.Identity:
        return Refusal(f"{place} is something else")
    return None


def _own_ways(place: str, module: nn.Module) -> Refusal:
    """A module whose type does not tell what it does."""
    if not _has_hooks(module):
        return Refusal(f"{place} has a forward of its own")
    return Refusal(
        f"{place} has one",
        expected="modules without forward hooks, which may change an activation",
        cure="remove it, for example with torch.nn.utils.remove_weight_norm",
    )


def _meet_linear(
    stack: Stack, names: dict[int, str], path: str, linear: nn.Module
) -> Refusal | None:
    """Each layer must have parameters of its own."""
    assert isinstance(linear, nn.Linear)
    for kind, parameter in linear._parameters.items():
        name = _join(path, kind)
        first = name if parameter is None else names.setdefault(id(parameter), name)
        if first != name:
            return Refusal(
                f"{name} is the same as {first}",
                expected="every layer to have parameters of its own",
                cure="untie them, for example with copy.deepcopy of the layer",
            )
    bias, shape = linear.bias, (linear.in_features, linear.out_features)
    names_of = (_join(path, "weight"), None if bias is None else _join(path, "bias"))
    stack.layers.append(StackLayer(_place(path, linear), *names_of, *shape))
    return None


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _place(path: str, module: nn.Module) -> str:
    return f"{path or 'the model'} ({type(module).__name__})"
