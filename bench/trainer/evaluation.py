"""Losses of a model over many batches, as a reader of curves wants them."""

from math import isfinite
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.problems.factory import Batch, LossFunction
from teleport_core.forward.arguments import arguments


class Losses(NamedTuple):
    """None where a loss is not finite, or there is nothing to take it over.

    Of several tasks the losses are their means, and those of each are there as well.
    """

    train_loss: float | None
    test_loss: float | None
    test_metric: float | None  # share of right answers; None where there are no classes
    train_task_losses: list[float] | None
    test_task_losses: list[float] | None
    test_task_metrics: list[float] | None


class _Part(NamedTuple):
    """Of one part of the data: the losses, and shares of right answers, of all tasks."""

    losses: list[float]
    metrics: list[float]

    @property
    def loss(self) -> float | None:
        return _mean(self.losses)

    @property
    def of_tasks(self) -> list[float] | None:
        several = len(self.losses) > 1 and all(map(isfinite, self.losses))
        return self.losses if several else None


class Evaluation:
    """Takes losses in evaluation mode, and leaves model and random numbers as they were."""

    def __init__(self, loss_fn: LossFunction, train: list[Batch], heldout: list[Batch]) -> None:
        self._loss_fn, self._train, self._heldout = loss_fn, train, heldout

    def of(self, model: nn.Module) -> Losses:
        """All of them."""
        train, test = self._part(model, self._train), self._part(model, self._heldout)
        metrics = test.metrics if len(test.metrics) > 1 else None
        by_task = (train.of_tasks, test.of_tasks, metrics)
        return Losses(train.loss, test.loss, _mean(test.metrics), *by_task)

    def train_loss(self, model: nn.Module) -> float | None:
        """Over the training samples alone."""
        return self._part(model, self._train).loss

    def _part(self, model: nn.Module, batches: list[Batch]) -> _Part:
        modes = {module: module.training for module in model.modules()}
        model.eval()
        losses, right = _Sums(), _Sums()
        try:
            with torch.no_grad():
                for inputs, targets in batches:
                    positional, keywords = arguments(inputs)
                    output = model(*positional, **keywords)
                    count = _samples(targets)
                    found = self._loss_fn(output, targets).reshape(-1).tolist()
                    losses.add([loss * count for loss in found], count)
                    right.add(*_right_answers(output, targets))
        finally:
            for module, training in modes.items():
                module.training = training
        return _Part(losses.means(), right.means())


class _Sums:
    """Sums of values, one for each task, and of what they are divided by."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._count = 0.0

    def add(self, values: list[float], count: float) -> None:
        """Add the values of a batch."""
        known = self._values or [0.0] * len(values)
        self._values = [one + other for one, other in zip(known, values, strict=True)]
        self._count += count

    def means(self) -> list[float]:
        """None of them where nothing was added."""
        return [value / self._count for value in self._values] if self._count else []


def _mean(values: list[float]) -> float | None:
    """None where there is no value, or one that is not finite."""
    return sum(values) / len(values) if values and all(map(isfinite, values)) else None


def _right_answers(output: Any, targets: Any) -> tuple[list[float], float]:
    """Right answers of each task, and how many there could be; none where there are no classes."""
    if isinstance(output, tuple) and isinstance(targets, Tensor) and targets.dim() == 2:
        columns = targets.unbind(1)
        if len(columns) == len(output) and all(map(_are_classes, output, columns)):
            pairs = zip(output, columns, strict=True)
            return [float((one.argmax(-1) == y).sum()) for one, y in pairs], float(len(targets))
    if _are_classes(output, targets):
        return [float((output.argmax(-1) == targets).sum())], float(targets.numel())
    return [], 0.0


def _samples(targets: object) -> int:
    """Samples of a batch; batches without targets count the same."""
    return len(targets) if isinstance(targets, Tensor) and targets.ndim else 1


def _are_classes(output: object, targets: object) -> bool:
    if not (isinstance(output, Tensor) and isinstance(targets, Tensor)):
        return False
    return not targets.is_floating_point() and output.shape[:-1] == targets.shape
