"""Losses of a model over many batches, as a reader of curves wants them."""

from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor, nn

from bench.problems.factory import Batch, LossFunction
from teleport_core.forward.arguments import arguments


class Losses(NamedTuple):
    """None where a loss is not finite, or there is nothing to take it over."""

    train_loss: float | None
    test_loss: float | None
    test_metric: float | None  # share of right answers; None where there are no classes


class Evaluation:
    """Takes losses in evaluation mode, and leaves model and random numbers as they were."""

    def __init__(self, loss_fn: LossFunction, train: list[Batch], heldout: list[Batch]) -> None:
        self._loss_fn, self._train, self._heldout = loss_fn, train, heldout

    def of(self, model: nn.Module) -> Losses:
        """All three."""
        train, _ = self._mean(model, self._train)
        test, metric = self._mean(model, self._heldout)
        return Losses(train, test, metric)

    def train_loss(self, model: nn.Module) -> float | None:
        """Over the training samples alone."""
        return self._mean(model, self._train)[0]

    def _mean(self, model: nn.Module, batches: list[Batch]) -> tuple[float | None, float | None]:
        modes = {module: module.training for module in model.modules()}
        model.eval()
        total = right = samples = answers = 0.0
        try:
            with torch.no_grad():
                for inputs, targets in batches:
                    positional, keywords = arguments(inputs)
                    output = model(*positional, **keywords)
                    count = _samples(targets)
                    total += float(self._loss_fn(output, targets)) * count
                    samples += count
                    if _are_classes(output, targets):
                        right += float((output.argmax(-1) == targets).sum())
                        answers += targets.numel()
        finally:
            for module, training in modes.items():
                module.training = training
        loss = total / samples if samples else None
        finite = loss is not None and isfinite(loss)
        return (loss if finite else None), (right / answers if answers else None)


def _samples(targets: object) -> int:
    """Samples of a batch; batches without targets count the same."""
    return len(targets) if isinstance(targets, Tensor) and targets.ndim else 1


def _are_classes(output: object, targets: object) -> bool:
    if not (isinstance(output, Tensor) and isinstance(targets, Tensor)):
        return False
    return not targets.is_floating_point() and output.shape[:-1] == targets.shape
