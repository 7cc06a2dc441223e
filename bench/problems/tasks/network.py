"""A perceptron with a head for each task."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Heads(nn.Module):
    """``l`` - 1 hidden layers of ``d`` units with ReLU, which the tasks share, and a head for each.

    Attributes:
        body: what they share.
        heads: one linear layer a task.
    """

    def __init__(self, inputs: int, classes: tuple[int, ...], d: int, l: int) -> None:  # noqa: E741
        super().__init__()
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise([inputs, *[d] * (l - 1)]):
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        width = d if l > 1 else inputs
        self.heads = nn.ModuleList(nn.Linear(width, count) for count in classes)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Scores [samples, classes] of each task."""
        hidden = self.body(x)
        return tuple(head(hidden) for head in self.heads)


def cross_entropies(scores: tuple[Tensor, ...], targets: Tensor) -> Tensor:
    """The mean cross-entropy of each task [tasks]; targets are class numbers [samples, tasks]."""
    pairs = zip(scores, targets.unbind(1), strict=True)
    return torch.stack([F.cross_entropy(one, wanted) for one, wanted in pairs])
