"""What is trained on: batches in an order of their own every epoch, the same for all arms."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from bench.errors import SpecError
from bench.plan.points import Point
from bench.problems.build import converted, loss_for, moved
from bench.problems.datasets.dataset import Dataset
from bench.problems.factory import Batch, LossFunction, loaders_of, made_by_factory
from bench.problems.networks.network import Shape
from bench.problems.networks.registry import network_for, takes_vectors
from bench.seeds import seed_for
from bench.trainer.tasks.direction import Combiner, combiner_for
from bench.training.settings import Training

_MOST_BATCHES = 10_000  # of a loader of the user's: one without end would never be read
_EVALUATED_AT_ONCE = 512


class Batches(Protocol):
    """Training and held-out samples, on the device already."""

    @property
    def steps(self) -> int:
        """Training batches in an epoch; a smaller rest is left out."""

    def epoch(self, seed: int) -> Iterator[Batch]:
        """Every training batch of one epoch."""

    def teleports(self, seed: int, n: int) -> Iterator[Batch]:
        """Batches of ``n`` samples without end, each drawn from all of the training samples."""

    def evaluated(self) -> tuple[list[Batch], list[Batch]]:
        """Of training and held-out samples those that losses are taken over."""


@dataclass
class Rows:
    """A data set held in memory, from which rows are taken."""

    train: tuple[Tensor, Tensor]
    heldout: tuple[Tensor, Tensor]
    batch_size: int
    evaluated_samples: int

    @property
    def samples(self) -> int:
        """For training."""
        return len(self.train[0])

    @property
    def steps(self) -> int:
        """Training batches in an epoch."""
        return self.samples // self.batch_size

    def epoch(self, seed: int) -> Iterator[Batch]:
        """Every training batch of one epoch, in an order drawn for it."""
        order = torch.randperm(self.samples, generator=_generator(seed))
        for rows in torch.split(order[: self.steps * self.batch_size], self.batch_size):
            yield self._take(rows)

    def teleports(self, seed: int, n: int) -> Iterator[Batch]:
        """Batches of ``n`` rows."""
        generator = _generator(seed)
        while True:
            yield self._take(torch.randperm(self.samples, generator=generator)[:n])

    def evaluated(self) -> tuple[list[Batch], list[Batch]]:
        """The first rows of both."""
        return self._split(self.train), self._split(self.heldout)

    def _take(self, rows: Tensor) -> Batch:
        inputs, targets = self.train
        chosen = rows.to(inputs.device)
        return inputs[chosen], targets[chosen]

    def _split(self, part: tuple[Tensor, Tensor]) -> list[Batch]:
        inputs, targets = (each[: self.evaluated_samples] for each in part)
        pieces = zip(
            torch.split(inputs, _EVALUATED_AT_ONCE),
            torch.split(targets, _EVALUATED_AT_ONCE),
            strict=True,
        )
        return list(pieces)


@dataclass
class Loaded:
    """The batches of the user's loaders, as they came; each epoch has them in another order."""

    train: list[Batch]
    heldout: list[Batch]

    @property
    def steps(self) -> int:
        """Training batches in an epoch."""
        return len(self.train)

    def epoch(self, seed: int) -> Iterator[Batch]:
        """Every training batch of one epoch, in an order drawn for it."""
        for place in torch.randperm(self.steps, generator=_generator(seed)).tolist():
            yield self.train[place]

    def teleports(self, seed: int, n: int) -> Iterator[Batch]:
        """Batches as the loader made them, whatever ``n`` is."""
        del n
        generator = _generator(seed)
        while True:
            for place in torch.randperm(self.steps, generator=generator).tolist():
                yield self.train[place]

    def evaluated(self) -> tuple[list[Batch], list[Batch]]:
        """All there are."""
        return self.train, self.heldout


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Task(NamedTuple):
    """A model that can be made again for every seed, its loss and its data."""

    point: Point
    root: int
    bias: bool
    loss_fn: LossFunction
    batches: Batches
    shape: Shape | None  # None for a factory of the user's
    combine: Combiner  # makes one direction of the gradients of several tasks

    def model(self, seed: int) -> nn.Module:
        """A new model with the initial weights of a seed, in training mode."""
        point, drawn = self.point, seed_for(self.root, "training model", seed)
        if self.shape is None:
            model = made_by_factory(point, drawn, ())[0]
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(drawn)
                model = network_for(point.model)(self.shape)
        return converted(model, point.device, getattr(torch, point.dtype)).train()


def task_of(
    point: Point, settings: Training, root: int, data: Dataset | None, *, bias: bool
) -> Task:
    """Model, loss and data of a place; ``data`` is None for a factory of the user's.

    Raises:
        SpecError: there is less than one batch, or a factory hands over no loader.
    """
    dtype: torch.dtype = getattr(torch, point.dtype)
    combine = combiner_for(settings.combiner)
    if data is None:
        made = made_by_factory(point, seed_for(root, "training model", 0), ())
        loader, other = loaders_of(made[2])
        train = _read(point.model, loader)
        heldout = [] if other is None else _read(point.model, other)
        if not train:
            raise SpecError(f"expected the loader of {point.model} to have at least one batch")
        parts = [[moved(batch, point.device, dtype) for batch in each] for each in (train, heldout)]
        return Task(point, root, bias, made[1], Loaded(*parts), None, combine)
    rows = Rows(
        _part(data.batch(_drawn(len(data), settings.samples, root)), point, dtype),
        _part(data.heldout_batch(settings.evaluation_samples), point, dtype),
        settings.batch_size,
        settings.evaluation_samples,
    )
    if rows.steps == 0 or point.n > rows.samples:
        raise SpecError(
            f"expected training.batch_size and n <= {rows.samples}, the training samples; got "
            f"batch_size={settings.batch_size} and n={point.n}"
        )
    shape = Shape(data.name, data.sample_shape, data.outputs, data.task, point.d, point.l, bias)
    return Task(point, root, bias, loss_for(data.task), rows, shape, combine)


def _drawn(samples: int, wanted: int, root: int) -> Tensor:
    """Which of the samples are used: as many as wanted, or all."""
    if not wanted or wanted >= samples:
        return torch.arange(samples)
    order = torch.randperm(samples, generator=_generator(seed_for(root, "training samples")))
    return order[:wanted]


def _part(batch: Batch, point: Point, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    inputs, targets = moved(batch, point.device, dtype)
    return inputs.flatten(1) if takes_vectors(point.model) else inputs, targets


def _read(address: str, loader: Any) -> list[Batch]:
    try:
        found = list(islice(loader, _MOST_BATCHES + 1))
    except TypeError:
        raise SpecError(
            f"expected {address} to return a loader, or a list of batches, as its third value; got "
            f"{type(loader).__name__}: return (model, loss_fn, loader) or (model, loss_fn, "
            "(train_loader, heldout_loader))"
        ) from None
    if len(found) > _MOST_BATCHES:
        raise SpecError(
            f"expected the loader of {address} to end; it goes on after {_MOST_BATCHES} batches"
        )
    if not all(isinstance(batch, (tuple, list)) and len(batch) == 2 for batch in found):
        raise SpecError(f"expected the loader of {address} to yield pairs (inputs, targets)")
    return [(inputs, targets) for inputs, targets in found]
