"""Refuse, before anything is timed or moved, what a teleport would get wrong."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd

from teleport_core.errors import ModelError, ProblemError
from teleport_core.problem import Problem

# Two evaluations of a deterministic loss differ by reduction order at most.
_REPEAT_TOLERANCE_EPS = 64


def check_problem(problem: Problem) -> float:
    """Refuse a problem that no method can work on; return its loss.

    Raises:
        ModelError: no floating parameter to move, active dropout, a loss that changes between
            two calls.
        ProblemError: an empty batch, non-finite inputs, shapes or labels that do not fit, a loss
            that is not a finite scalar.
    """
    _check_model(problem.model)
    _check_inputs(problem)
    with torch.no_grad():
        first = _evaluate(problem)
        second = _evaluate(problem)
    if abs(first - second) > _tolerance(problem) * max(abs(first), abs(second)):
        raise ModelError(
            f"expected a loss that depends on the parameters alone; two calls gave {first!r} and "
            f"{second!r}: switch off the random layer (model.eval()) or fix its mask"
        )
    return first


def _tolerance(problem: Problem) -> float:
    dtypes = [p.dtype for p in problem.parameters().values()]
    return _REPEAT_TOLERANCE_EPS * max(torch.finfo(dtype).eps for dtype in dtypes)


def _check_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise ModelError(f"expected model to be a torch.nn.Module; got {type(model).__name__}")
    for name, module in model.named_modules():
        _refuse_sealed(name or "the model", module)
    parameters = dict(model.named_parameters())
    if not any(p.requires_grad for p in parameters.values()):
        raise ModelError(
            "expected at least one parameter with requires_grad=True; got none: there is nothing "
            "whose gradient could grow"
        )
    for name, parameter in parameters.items():
        if not parameter.dtype.is_floating_point:
            raise ModelError(
                f"expected floating-point parameters; {name} is {parameter.dtype}: "
                "convert the model with model.float(), or keep integer tensors as buffers"
            )
        if not torch.isfinite(parameter).all():
            raise ModelError(f"expected finite parameters; {name} holds NaN or infinity")
    for name, module in model.named_modules():
        rate = _active_dropout(module)
        if rate:
            raise ModelError(
                f"expected a model without randomness; {name or 'the model'} "
                f"({type(module).__name__}) drops with p={rate} in train mode: "
                "call model.eval() or set p=0"
            )


def _refuse_sealed(name: str, module: nn.Module) -> None:
    """A compiled forward pass cannot be watched, so nobody knows what a weight is used for."""
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            f"expected a model in plain Python; {name} is scripted or traced by torch.jit: "
            "teleport the model that it was made of, then script it again"
        )
    if hasattr(module, "_orig_mod"):
        raise ModelError(
            f"expected a model in plain Python; {name} is compiled: teleport its _orig_mod, which "
            "shares its parameters"
        )


def _active_dropout(module: nn.Module) -> float:
    if not module.training:
        return 0.0
    if isinstance(module, _DropoutNd):
        return float(module.p)
    if isinstance(module, (nn.MultiheadAttention, nn.RNNBase)):
        return float(module.dropout)
    return 0.0


def _check_inputs(problem: Problem) -> None:
    tensors = problem.tensors()
    if not tensors:
        raise ProblemError(
            f"expected inputs to hold at least one tensor; got {type(problem.inputs).__name__}"
        )
    for tensor in tensors:
        if tensor.numel() == 0:
            raise ProblemError(
                f"expected at least one sample; got an empty input of shape {tuple(tensor.shape)}"
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            bad = int((~torch.isfinite(tensor)).sum())
            raise ProblemError(
                f"expected finite inputs; got {bad} NaN or infinite values in an input of shape "
                f"{tuple(tensor.shape)}: clean the batch"
            )


def _evaluate(problem: Problem) -> float:
    try:
        output = problem.output()
    except Exception as error:
        raise ProblemError(
            f"expected inputs that the model accepts; on inputs of shape {_shapes(problem)} it "
            f"raised {type(error).__name__}: {error}"
        ) from error
    _check_labels(problem, output)
    try:
        loss = problem.loss_fn(output, problem.targets)
    except Exception as error:
        raise ProblemError(
            f"expected loss_fn(model_output, targets) to accept an output of shape "
            f"{_shape(output)} and targets of shape {_shape(problem.targets)}; it raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.is_floating_point():
        raise ProblemError(
            f"expected loss_fn to return a scalar tensor; got {_shape(loss)}: reduce it, for "
            "example with .mean()"
        )
    value = float(loss)
    if not math.isfinite(value):
        raise ProblemError(f"expected a finite loss on the teleport batch; got {value}")
    return value


def _check_labels(problem: Problem, output: Any) -> None:
    """Name a label out of range; on CUDA it would poison the context instead of raising."""
    targets, loss_fn = problem.targets, problem.loss_fn
    known = loss_fn is F.cross_entropy or isinstance(loss_fn, nn.CrossEntropyLoss)
    if not known or not isinstance(output, Tensor) or not isinstance(targets, Tensor):
        return
    if targets.is_floating_point() or output.dim() < 2:
        return
    ignored = loss_fn.ignore_index if isinstance(loss_fn, nn.CrossEntropyLoss) else -100
    labels = targets[targets != ignored]
    classes = output.shape[1]
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise ProblemError(
            f"expected labels from 0 to {classes - 1}; got labels from {int(labels.min())} to "
            f"{int(labels.max())}"
        )


def _shapes(problem: Problem) -> str:
    if isinstance(problem.inputs, Mapping):
        return str({name: _shape(value) for name, value in problem.inputs.items()})
    return ", ".join(str(tuple(t.shape)) for t in problem.tensors())


def _shape(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
