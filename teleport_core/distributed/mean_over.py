"""What the mean of a loss divides by: the weight of a rank's own loss in that of all ranks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core.errors import ProblemError
from teleport_core.problem import LossFn

_OF_LABELS = (nn.CrossEntropyLoss, nn.NLLLoss)
_OF_ENTRIES = (
    nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCELoss, nn.BCEWithLogitsLoss,
)  # fmt: skip
_FUNCTIONS: dict[Any, nn.Module] = {
    F.cross_entropy: nn.CrossEntropyLoss(), F.nll_loss: nn.NLLLoss(),
    F.mse_loss: nn.MSELoss(), F.l1_loss: nn.L1Loss(), F.smooth_l1_loss: nn.SmoothL1Loss(),
    F.huber_loss: nn.HuberLoss(), F.binary_cross_entropy: nn.BCELoss(),
    F.binary_cross_entropy_with_logits: nn.BCEWithLogitsLoss(),
}  # fmt: skip


class MeanOver(nn.Module):
    """A loss that is a mean over parts, each of one sample, and how many parts targets have.

    It says of a loss of one's own what ``ranks="sharded"`` has to know::

        MeanOver(lambda logits, y: F.cross_entropy(logits.flatten(0, 1), y.flatten()), torch.numel)

    Args:
        loss_fn: ``loss_fn(model_output, targets)``, the mean over the parts.
        count: ``count(targets)``, what that mean divides by: a number > 0; targets that are
            ignored do not count.
    """

    def __init__(self, loss_fn: LossFn, count: Callable[[Any], Any]) -> None:
        super().__init__()
        self.loss_fn, self.count = loss_fn, count

    def forward(self, output: Any, targets: Any) -> Tensor:
        """The mean."""
        return self.loss_fn(output, targets)


class Weighted(nn.Module):
    """A rank's share of the loss of all ranks: its own, times a weight."""

    def __init__(self, loss_fn: LossFn, weight: float) -> None:
        super().__init__()
        self.loss_fn, self.weight = loss_fn, weight

    def forward(self, output: Any, targets: Any) -> Tensor:
        """The share."""
        return self.loss_fn(output, targets) * self.weight


def splits(loss_fn: LossFn) -> bool:
    """Whether the loss of a batch is known to be a mean or a sum over its samples."""
    known = _FUNCTIONS.get(loss_fn, loss_fn)
    return isinstance(known, (*_OF_LABELS, *_OF_ENTRIES, MeanOver))


def divisor(loss_fn: LossFn, targets: Any) -> float | None:
    """What the mean over a rank's own targets divides by; None for a sum.

    Raises:
        ProblemError: nothing counts.
    """
    loss = _FUNCTIONS.get(loss_fn, loss_fn)
    if getattr(loss, "reduction", "mean") == "sum":
        return None
    if isinstance(loss, MeanOver):
        count = float(loss.count(targets))
    elif isinstance(loss, _OF_LABELS):
        count = _of_labels(loss, targets)
    else:
        count = targets.numel()
    if not 0 < count < float("inf"):
        raise ProblemError(
            f"expected targets that count on every rank, as the mean of its loss divides by their "
            f"number; got {count}: give every rank some that are not ignored"
        )
    return count


def _of_labels(loss: Any, targets: Tensor) -> float:
    if targets.is_floating_point():  # probabilities of the classes, along axis 1 or the only one
        return targets.numel() / targets.shape[min(1, targets.dim() - 1)]
    labels = targets[targets != loss.ignore_index]
    if loss.weight is None:
        return labels.numel()
    return float(loss.weight.double()[labels].sum()) if torch.numel(labels) else 0.0
