"""Read the MLP out of a module, or refuse the module and name what is in the way."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from baselines.symmetry.activations import Activation, activation_of, no_activation
from baselines.symmetry.mlp import MLP, Layer
from teleport_core.errors import ModelError, ProblemError
from teleport_core.problem import Problem

_DTYPES = (torch.float32, torch.float64)
_CURE = "write it as an nn.Sequential of these, or use method='nullspace', which takes other models"


@dataclass
class _Found:
    """What the walk has met so far."""

    flattens: list[nn.Flatten] = field(default_factory=list)
    linears: list[tuple[str, nn.Linear]] = field(default_factory=list)
    activations: list[Activation] = field(default_factory=list)
    pending: Activation | None = None


def extract(problem: Problem) -> tuple[MLP, Tensor]:
    """The MLP and its inputs, flattened as the model does it, [..., features].

    Raises:
        ModelError: the model is not a stack of nn.Linear and elementwise activations, or a
            parameter is shared, frozen or of a dtype without pseudo-inverse.
        ProblemError: not exactly one input, or one that the first layer cannot take.
    """
    found = _Found()
    for path, module in _leaves("", problem.model):
        _meet(found, path, module)
    if found.pending is not None:
        raise _refused(found.pending.place, "follows the last nn.Linear")
    if not found.linears:
        raise ModelError(f"expected at least one nn.Linear; {_place('', problem.model)} has none")
    _check_parameters(found.linears)
    layers = tuple(_layer(path, linear) for path, linear in found.linears)
    return MLP(layers, tuple(found.activations)), _inputs(problem, found)


def _leaves(path: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Modules in the order of the forward pass; only nn.Sequential tells it."""
    if module._forward_hooks or module._forward_pre_hooks:
        raise ModelError(
            f"expected modules without forward hooks, which may change an activation; "
            f"{_place(path, module)} has one: remove it, for example with "
            "torch.nn.utils.remove_weight_norm"
        )
    if "forward" in vars(module):
        raise _refused(_place(path, module), "has a forward of its own")
    if type(module).forward is not nn.Sequential.forward:
        yield path, module
        return
    # named_children() would leave out a module's second use.
    for name, child in module._modules.items():
        if child is not None:
            yield from _leaves(f"{path}.{name}" if path else name, child)


def _meet(found: _Found, path: str, module: nn.Module) -> None:
    place = _place(path, module)
    activation = activation_of(module, place)
    if type(module) is nn.Linear:
        if found.linears:
            found.activations.append(found.pending or no_activation(place))
            found.pending = None
        found.linears.append((path, module))
    elif activation is not None:
        if not found.linears:
            raise _refused(place, "comes before the first nn.Linear")
        if found.pending is not None:
            raise _refused(place, f"follows {found.pending.place} with no nn.Linear between them")
        found.pending = activation
    elif type(module) is nn.Flatten and not found.linears:
        found.flattens.append(module)
    elif isinstance(module, _DropoutNd):
        if module.training and module.p > 0:
            raise ModelError(
                f"expected a model without randomness; {place} drops with p={module.p} in train "
                "mode: call model.eval() or set p=0"
            )
    elif type(module) is not nn.Identity:
        raise _refused(place, "is something else")


def _layer(path: str, linear: nn.Linear) -> Layer:
    names = {kind: f"{path}.{kind}" if path else kind for kind in ("weight", "bias")}
    bias = None if linear.bias is None else names["bias"]
    return Layer(names["weight"], bias, linear.in_features, linear.out_features)


def _check_parameters(linears: list[tuple[str, nn.Linear]]) -> None:
    """Refuse parameters that cannot be moved one by one, or not at all."""
    seen: dict[int, str] = {}
    for path, linear in linears:
        for kind, parameter in linear.named_parameters():
            name = f"{path}.{kind}" if path else kind
            first = seen.setdefault(id(parameter), name)
            if first != name:
                raise ModelError(
                    f"expected every layer to have parameters of its own; {name} is the same as "
                    f"{first}: untie them, for example with copy.deepcopy of the layer"
                )
            if parameter.dtype not in _DTYPES:
                raise ModelError(
                    "expected float32 or float64 parameters, because torch has no pseudo-inverse "
                    f"for other dtypes; {name} is {parameter.dtype}: convert the model with "
                    "model.float() and the inputs with inputs.float()"
                )
            if not parameter.requires_grad and len(linears) > 1:
                raise ModelError(
                    f"expected to move every layer; {name} has requires_grad=False: set it to "
                    "True, or use method='nullspace', which leaves frozen parameters alone"
                )


def _inputs(problem: Problem, found: _Found) -> Tensor:
    tensors = problem.tensors()
    if len(tensors) != 1:
        raise ProblemError(
            f"expected one input tensor for a stack of layers; got {len(tensors)} tensors"
        )
    inputs = tensors[0].detach()
    for flatten in found.flattens:
        inputs = flatten(inputs)
    path, first = found.linears[0]
    weight = first.weight
    fits = inputs.dim() > 0 and inputs.shape[-1] == first.in_features
    if not fits or inputs.dtype != weight.dtype or inputs.device != weight.device:
        raise ProblemError(
            f"expected inputs [..., {first.in_features}] of {weight.dtype} on {weight.device} for "
            f"{_place(path, first)}; got {tuple(inputs.shape)} of {inputs.dtype} on "
            f"{inputs.device}: convert the inputs, or put an nn.Flatten first"
        )
    return inputs


def _place(path: str, module: nn.Module) -> str:
    return f"{path or 'the model'} ({type(module).__name__})"


def _refused(place: str, what: str) -> ModelError:
    return ModelError(
        "expected a stack of nn.Linear with at most one elementwise activation between two of "
        f"them, optionally after an nn.Flatten; {place} {what}: {_CURE}"
    )
