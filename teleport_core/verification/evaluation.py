"""One pass of model and loss, and what is wrong with a batch where it fails, by name."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core.errors import ProblemError
from teleport_core.problem import Parameters, Problem
from teleport_core.torch_private import tree_leaves
from teleport_core.verification.model_checks import require_finite_parameters
from teleport_core.verification.reference import is_number


def evaluated(problem: Problem, parameters: Parameters | None = None) -> tuple[Any, Tensor]:
    """Output and loss, as ``reference.evaluate``.

    Raises:
        ProblemError: an empty output, shapes or labels that do not fit, a loss that is not a finite
            scalar.
    """
    try:
        output = problem.output(parameters)
    except Exception as error:
        raise ProblemError(
            f"expected inputs that the model accepts; on inputs of shape {_shapes(problem)} it "
            f"raised {type(error).__name__}: {error}{_one_argument(problem.inputs)}"
        ) from error
    _require_samples(output)
    if isinstance(output, Tensor) and output.is_cuda:
        _check_labels(problem, output)  # there it would end the use of the device
    try:
        losses = problem.losses_of(output)
    except Exception as error:
        _check_labels(problem, output)
        raise ProblemError(
            f"expected loss_fn(model_output, targets) to accept an output of shape "
            f"{_shape(output)} and targets of shape {_shape(problem.targets)}; it raised "
            f"{type(error).__name__}: {error}"
        ) from error
    require_loss(losses, by_task=problem.by_task)
    loss = losses.mean() if problem.by_task else losses
    value = float(loss.detach())
    if not math.isfinite(value):
        require_finite_parameters(problem.parameters())
        raise ProblemError(
            f"expected a finite loss on the teleport batch; got {value}{not_finite(problem)}"
        )
    return output, loss


def require_loss(losses: Any, *, by_task: bool) -> None:
    """Refuse what is no loss: a scalar, or with ``by_task`` a value for each of several tasks.

    Raises:
        ProblemError: see there.
    """
    wanted = "one value per task, [tasks]" if by_task else "a scalar tensor"
    if not isinstance(losses, Tensor):
        raise ProblemError(
            f"expected loss_fn to return {wanted}; got {type(losses).__name__}: "
            + ("use torch.stack" if by_task else "leave out .item(), so that it has a gradient")
        )
    if by_task and (losses.dim() != 1 or len(losses) < 2 or not losses.is_floating_point()):
        raise ProblemError(
            f"expected loss_fn to return {wanted}, of two or more; got {_shape(losses)}: stack the "
            "losses of the tasks, each reduced to a scalar, with torch.stack"
        )
    if not by_task and (losses.numel() != 1 or not losses.is_floating_point()):
        tasks = losses.dim() == 1 and losses.is_floating_point()
        hint = "; where each entry is the loss of a task, method='cost' takes it" if tasks else ""
        raise ProblemError(
            f"expected loss_fn to return a scalar tensor; got {_shape(losses)}: reduce it, for "
            f"example with .mean(){hint}"
        )


def not_finite(problem: Problem) -> str:
    """What to say of inputs that hold NaN or infinite values; "" where none do."""
    for tensor in problem.tensors():
        finite = torch.isfinite(_entries(tensor))
        if is_number(tensor) and not finite.all():
            bad = int((~finite).sum())
            return (
                f"; {bad} values in an input of shape {tuple(tensor.shape)} are NaN or infinite: "
                "clean the batch"
            )
    return ""


def _require_samples(output: Any) -> None:
    numbers = [leaf for leaf in tree_leaves(output) if is_number(leaf)]
    if numbers and not any(leaf.numel() for leaf in numbers):
        raise ProblemError(
            f"expected at least one sample; the model returns an empty output of shape "
            f"{tuple(numbers[0].shape)}"
        )


def _entries(tensor: Tensor) -> Tensor:
    """Those that are stored: all, but for a sparse or nested tensor."""
    if tensor.is_nested and tensor.layout is torch.strided:
        return torch.cat([each.flatten() for each in tensor.unbind()])
    if tensor.is_nested or tensor.layout is not torch.strided:
        return tensor.coalesce().values() if tensor.is_sparse else tensor.values()
    return tensor


def _one_argument(inputs: Any) -> str:
    if not isinstance(inputs, (list, tuple)) or type(inputs) is tuple:
        return ""
    return f"; a {type(inputs).__name__} is one argument: write tuple(inputs) for several"


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
