"""The two-task toy problem of CAGrad (Liu et al. 2021, arXiv 2110.14048)."""

import torch
from torch import Tensor

_FLOOR = 5e-6


def two_tasks_losses(point: Tensor) -> Tensor:
    """Both losses [2] at a point [2], as the authors' released code has them.

    Above the horizontal axis they are logarithms with a valley in which the gradients conflict,
    below it quadratics; tanh(y / 2) fades one into the other.
    """
    x, y = point
    away = torch.stack([(-x - 7) / 2 - torch.tanh(-y), (-x + 3) / 2 + torch.tanh(-y) + 2])
    valleys = away.abs().clamp(min=_FLOOR).log() + 6
    bowls = (torch.stack([7 - x, -7 - x]).square() + 0.1 * (y + 8) ** 2) / 10 - 20
    above, below = torch.tanh(y / 2).clamp(min=0), torch.tanh(-y / 2).clamp(min=0)
    losses: Tensor = valleys * above + bowls * below
    return losses
