"""Models that are stacks of linear layers and elementwise activations, read as such.

Only ``nn.Sequential`` tells the order of its forward pass, so only it is read; any other module
with a forward of its own is not a stack as far as anybody can know.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from teleport_core.problem import Problem

Elementwise = Callable[[Tensor], Tensor]

# Exact types: a subclass may have a forward of its own. All are differentiable almost everywhere.
ELEMENTWISE = (
    nn.CELU,
    nn.ELU,
    nn.GELU,
    nn.Hardshrink,
    nn.Hardsigmoid,
    nn.Hardswish,
    nn.Hardtanh,
    nn.LeakyReLU,
    nn.LogSigmoid,
    nn.Mish,
    nn.ReLU,
    nn.ReLU6,
    nn.SELU,
    nn.SiLU,
    nn.Sigmoid,
    nn.Softplus,
    nn.Softshrink,
    nn.Softsign,
    nn.Tanh,
    nn.Tanhshrink,
)


@dataclass(frozen=True)
class StackLayer:
    """One nn.Linear and the activations behind it, in order; none behind the last layer."""

    weight: str
    bias: str | None
    activations: tuple[Elementwise, ...]


@dataclass(frozen=True)
class Stack:
    """A stack of layers; ``flattens`` run on the input first."""

    flattens: tuple[nn.Flatten, ...]
    layers: tuple[StackLayer, ...]


def read_stack(problem: Problem) -> Stack | str:
    """The stack that a model is, or the module that is in the way, named."""
    flattens: list[nn.Flatten] = []
    linears: list[tuple[str, nn.Linear]] = []
    behind: list[list[Elementwise]] = []
    for path, module in _in_order("", problem.model):
        if _has_hooks(module):
            return f"{_place(path, module)} has a forward hook"
        if "forward" in vars(module):
            return f"{_place(path, module)} has a forward of its own"
        if type(module) is nn.Linear:
            linears.append((path, module))
            behind.append([])
        elif type(module) in ELEMENTWISE and linears:
            behind[-1].append(out_of_place(module))
        elif type(module) is nn.Flatten and not linears:
            flattens.append(module)
        elif not _passes_through(module):
            return f"{_place(path, module)} is in the way"
    problem_found = _unsuited(linears, behind, problem)
    if problem_found:
        return problem_found
    layers = tuple(
        StackLayer(
            weight=_join(path, "weight"),
            bias=None if linear.bias is None else _join(path, "bias"),
            activations=tuple(sigmas),
        )
        for (path, linear), sigmas in zip(linears, behind, strict=True)
    )
    return Stack(tuple(flattens), layers)


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


def _unsuited(
    linears: list[tuple[str, nn.Linear]], behind: list[list[Elementwise]], problem: Problem
) -> str:
    """What else keeps a model from being a stack, or nothing."""
    if not linears:
        return "there is no nn.Linear"
    if behind[-1]:
        return f"an activation follows the last layer, {linears[-1][0] or 'the model'}"
    inputs = problem.tensors()
    if len(inputs) != 1:
        return "the model takes more than one input tensor"
    parameters = [p for _, linear in linears for p in linear._parameters.values() if p is not None]
    if len({id(p) for p in parameters}) != len(parameters):
        return "two layers share a parameter"
    if len({(p.dtype, p.device) for p in [*parameters, *inputs]}) != 1:
        return "inputs and layers differ in dtype or device"
    return ""


def _has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or module._backward_hooks)


def _passes_through(module: nn.Module) -> bool:
    idle = isinstance(module, _DropoutNd) and not (module.training and module.p > 0)
    return idle or type(module) is nn.Identity


def out_of_place(module: nn.Module) -> Elementwise:
    """The function of an elementwise module, never written into its argument."""
    if not getattr(module, "inplace", False):
        return module.forward
    plain = copy.copy(module)
    plain.inplace = False  # type: ignore[assignment]
    return plain.forward


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _place(path: str, module: nn.Module) -> str:
    return f"{path or 'the model'} ({type(module).__name__})"
