"""Small problems of several tasks: two heads on one body, and both in one output."""

import torch
from small_problems import batch, mlp
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Problem


class TwoHeads(nn.Module):
    """A body with batch norm, and a head of each of two tasks."""

    def __init__(self, *, norm: bool = False) -> None:
        super().__init__()
        layers = [nn.Linear(12, 16), nn.BatchNorm1d(16) if norm else nn.Identity(), nn.Tanh()]
        self.body = nn.Sequential(*layers, nn.Linear(16, 14), nn.Tanh())
        self.first, self.second = nn.Linear(14, 4), nn.Linear(14, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.body(x)
        return self.first(hidden), self.second(hidden)


def of_heads(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    """Class among four, and whether it is even."""
    first, second = outputs
    return torch.stack([F.cross_entropy(first, targets), F.cross_entropy(second, targets % 2)])


def two_heads(*, norm: bool = False, seed: int = 0, samples: int = 20) -> Problem:
    torch.manual_seed(seed)
    inputs, targets = batch(samples, 12, 4, seed=seed + 1)
    return Problem(TwoHeads(norm=norm).double(), of_heads, inputs, targets, by_task=True)


def one_output() -> Problem:
    """Two regressions side by side in the columns of one output."""
    inputs, _ = batch(6, 10, 2, seed=4)
    targets = torch.sin(inputs[:, :4]).clone()

    def losses(output: Tensor, wanted: Tensor) -> Tensor:
        return (output - wanted).square().mean(0).view(2, 2).mean(1)

    return Problem(mlp([10, 14, 14, 4], nn.Tanh, seed=3), losses, inputs, targets, by_task=True)
