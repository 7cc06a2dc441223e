"""What every tiny problem of the zoo is made of."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teleport_core import Problem


def classes(output: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over the last axis, whatever stands before it."""
    return F.cross_entropy(output.reshape(-1, output.shape[-1]), targets.reshape(-1))


def problem(model: nn.Module, inputs: Any, classes_: int, shape: tuple[int, ...]) -> Problem:
    """A classification problem with random targets; ``inputs`` in float64."""
    generator = torch.Generator().manual_seed(7)
    targets = torch.randint(0, classes_, shape, generator=generator)
    return Problem(model.double(), classes, inputs, targets)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def tokens(*shape: int, of: int) -> Tensor:
    return torch.randint(0, of, shape, generator=torch.Generator().manual_seed(5))


def images(model: nn.Module, n: int, channels: int, size: int, outputs: int = 4) -> Problem:
    return problem(model, noise(n, channels, size, size), outputs, (n,))
