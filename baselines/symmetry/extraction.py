"""Read the MLP out of a module, or refuse the module and name what is in the way."""

import torch
from torch import Tensor

from baselines.symmetry.activations import activation_of, no_activation
from baselines.symmetry.mlp import MLP
from teleport_core.errors import ModelError, ProblemError
from teleport_core.problem import Problem
from teleport_core.stack import Refusal, Stack, read_model

_DTYPES = (torch.float32, torch.float64)


def extract(problem: Problem) -> tuple[MLP, Tensor]:
    """The MLP and its inputs, flattened as the model does it, [..., features].

    Raises:
        ModelError: the model is not a stack of nn.Linear with one elementwise activation between
            two of them, or a parameter is shared, frozen or of a dtype without pseudo-inverse.
        ProblemError: not exactly one input, or one that the first layer cannot take.
    """
    stack = read_model(problem.model)
    if isinstance(stack, Refusal):
        raise ModelError(str(stack))
    activations = []
    for layer, above in zip(stack.layers, stack.layers[1:], strict=False):
        if len(layer.activations) > 1:
            first, second, *_ = (sigma.place for sigma in layer.activations)
            found = f"{second} follows {first} with no nn.Linear between them"
            raise ModelError(str(Refusal(found)))
        one = [activation_of(sigma) for sigma in layer.activations]
        activations.append(one[0] if one else no_activation(above.place))
    _check_parameters(problem, stack)
    return MLP(tuple(stack.layers), tuple(activations)), _inputs(problem, stack)


def _check_parameters(problem: Problem, stack: Stack) -> None:
    """Refuse parameters that cannot be inverted or moved."""
    for name, parameter in problem.parameters().items():
        if parameter.is_complex():
            raise ModelError(
                f"expected real parameters; {name} is {parameter.dtype}: use method='nullspace', "
                "which moves the real parameters and holds complex ones"
            )
        if parameter.dtype not in _DTYPES:
            raise ModelError(
                "expected float32 or float64 parameters, because torch has no pseudo-inverse "
                f"for other dtypes; {name} is {parameter.dtype}: convert the model with "
                "model.float() and the inputs with inputs.float()"
            )
        if not parameter.requires_grad and len(stack.layers) > 1:
            raise ModelError(
                f"expected to move every layer; {name} has requires_grad=False: set it to "
                "True, or use method='nullspace', which leaves frozen parameters alone"
            )


def _inputs(problem: Problem, stack: Stack) -> Tensor:
    tensors = problem.tensors()
    if len(tensors) != 1:
        raise ProblemError(
            f"expected one input tensor for a stack of layers; got {len(tensors)} tensors"
        )
    inputs = tensors[0].detach()
    for flatten in stack.flattens:
        inputs = flatten(inputs)
    first = stack.layers[0]
    weight = problem.parameters()[first.weight]
    fits = inputs.dim() > 0 and inputs.shape[-1] == first.in_features
    if not fits or inputs.dtype != weight.dtype or inputs.device != weight.device:
        raise ProblemError(
            f"expected inputs [..., {first.in_features}] of {weight.dtype} on {weight.device} for "
            f"{first.place}; got {tuple(inputs.shape)} of {inputs.dtype} on "
            f"{inputs.device}: convert the inputs, or put an nn.Flatten first"
        )
    return inputs
