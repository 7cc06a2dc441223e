"""From a point of the plan to a model, a loss and batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from bench.errors import SpecError
from bench.plan.points import Point
from bench.problems.datasets import load_dataset
from bench.problems.datasets.dataset import Task
from bench.problems.factory import Batch, LossFunction, call_factory
from bench.problems.networks.network import Shape
from bench.problems.networks.registry import network_for, refuse_swept, takes_vectors
from bench.seeds import seed_for
from teleport_core import Problem
from teleport_core.training.dropout import switch_dropout_off

_HELDOUT_SAMPLES = 512
_MOST_NAMED = 3  # of the modules that drop


@dataclass(frozen=True)
class Built:
    """A model on its device with ``b`` teleport batches and one held-out batch, if there is one."""

    model: nn.Module
    loss_fn: LossFunction
    batches: list[Batch]
    heldout: Batch | None
    train_samples: int | None = None  # of the data set as loaded; None for the user's batches
    note: str = ""  # what was done to a model of the user's

    @property
    def network(self) -> str:
        """What the model is: its class."""
        return type(self.model).__name__

    @property
    def parameters(self) -> int:
        """How many numbers it has to learn."""
        return sum(parameter.numel() for parameter in self.model.parameters())


def build(
    point: Point, *, seed: int, bias: bool, data_dir: str | None, swept: Sequence[str] = ()
) -> Built:
    """Build what a point names: a network on a data set, or the user's own factory.

    The seed depends on the point's data and shape alone, so that all variants share it. A factory
    has to take every letter in ``swept``.
    """
    dtype: torch.dtype = getattr(torch, point.dtype)
    own = ":" in point.model
    if own:
        built = Built(*call_factory(point, seed, swept))
    else:
        refuse_swept(point.model, swept)
        built = _by_name(point, seed, bias=bias, data_dir=data_dir)
    model = converted(built.model, point.device, dtype)
    batches = [moved(batch, point.device, dtype) for batch in built.batches]
    heldout = None if built.heldout is None else moved(built.heldout, point.device, dtype)
    note = _without_dropout(Problem(model, built.loss_fn, *batches[0])) if own else ""
    return replace(built, model=model, batches=batches, heldout=heldout, note=note)


def _without_dropout(problem: Problem) -> str:
    """Switch off what drops at random, of a model as it is trained; what to say of it."""
    dropped = switch_dropout_off(problem)
    named = [f"{name} ({kind})" for name, kind in dropped.items()]
    more = [f"{len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else []
    said = ", ".join([*named[:_MOST_NAMED], *more])
    return f"dropout is off for the measurement: {said}" if said else ""


def _by_name(point: Point, seed: int, *, bias: bool, data_dir: str | None) -> Built:
    make = network_for(point.model)
    data = load_dataset(point.dataset, Path(data_dir) if data_dir else None)
    if point.n > len(data):
        raise SpecError(
            f"expected n <= {len(data)}, the training samples of {data.name}; got n={point.n}"
        )
    shape = Shape(data.name, data.sample_shape, data.outputs, data.task, point.d, point.l, bias)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "model", point.d, point.l))
        model = make(shape)
    generator = torch.Generator().manual_seed(seed_for(seed, "batches", point.n))
    batches = []
    for _ in range(point.b):
        rows = torch.randperm(len(data), generator=generator)[: point.n]
        batches.append(data.batch(rows))
    # A sequence costs as much as hundreds of images: no more of them than in a batch.
    sequences = len(data.sample_shape) == 2 or data.task == "tokens"
    heldout = data.heldout_batch(point.n if sequences else _HELDOUT_SAMPLES)
    if takes_vectors(point.model):
        batches = [(inputs.flatten(1), targets) for inputs, targets in batches]
        heldout = heldout[0].flatten(1), heldout[1]
    return Built(model, loss_for(data.task), batches, heldout, len(data))


def loss_for(task: Task) -> LossFunction:
    """Cross-entropy for classes and tokens, mean squared error for values."""
    if task == "values":
        return F.mse_loss
    return F.cross_entropy if task == "classes" else next_token_loss


def next_token_loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over all places of ``[samples, length, words]``."""
    return F.cross_entropy(scores.flatten(0, 1), targets.flatten())


def converted(model: nn.Module, device: str, dtype: torch.dtype) -> nn.Module:
    """The model in ``dtype``; what is complex stays so, which ``nn.Module.to`` does not see to."""
    if not any(tensor.is_complex() for tensor in [*model.parameters(), *model.buffers()]):
        return model.to(device=device, dtype=dtype)
    model = model.to(device=device)
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data = tensor.data.to(_kept_kind(tensor, dtype))
    return model


def _kept_kind(tensor: torch.Tensor, dtype: torch.dtype) -> torch.dtype:
    """``dtype``, its complex counterpart, or whole numbers as they are."""
    if tensor.is_complex():
        return dtype.to_complex()
    return dtype if tensor.is_floating_point() else tensor.dtype


def moved(batch: Batch, device: str, dtype: torch.dtype) -> Batch:
    """A batch on the device; numbers in ``dtype``, or its complex counterpart."""

    def one(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(device=device, dtype=_kept_kind(value, dtype))

    def every(value: Any) -> Any:
        # Mappings are keywords of the model, whether torch takes them for a tree or not.
        return tree_map(one, dict(value) if isinstance(value, Mapping) else value)

    inputs, targets = batch
    return every(inputs), every(targets)
