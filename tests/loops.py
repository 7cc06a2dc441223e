"""A small training loop with everything that a teleport could disturb."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from teleport_core import Schedule, Teleports


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(8, 24), nn.BatchNorm1d(24), nn.Tanh(), nn.Dropout(0.2),
        nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 3),
    ).double()  # fmt: skip


def data(samples: int = 40) -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(samples, 8, generator=generator).double()
    return TensorDataset(inputs, (inputs[:, 0] > 0).long() + (inputs[:, 1] > 0).long())


def loader(**options: Any) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(data(), 8, shuffle=True, **options)


def step(model: nn.Module, batch: tuple[Tensor, Tensor], optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()


def train(
    schedule: Schedule | None,
    optimizer_of: Callable[[Any], torch.optim.Optimizer],
    epochs: int = 2,
    **options: Any,
) -> tuple[nn.Module, torch.optim.Optimizer, list[Teleports], list[float]]:
    """What a run ends with, and what was drawn on the way."""
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    model, batches = net(), loader(**options)
    optimizer = optimizer_of(model.parameters())
    torch.manual_seed(4)
    found, drawn, count = [], [], 0
    for epoch in range(epochs):
        if schedule is not None:
            found.append(schedule.before_epoch(epoch, model, F.cross_entropy, batches, optimizer))
        for batch in batches:
            if schedule is not None:
                found.append(
                    schedule.before_step(count, model, F.cross_entropy, batches, optimizer)
                )
            drawn.append(float(batch[0].sum()))
            step(model, batch, optimizer)
            count += 1
        drawn += [random.random(), np.random.random(), float(torch.rand(()))]
    return model, optimizer, found, drawn


def bits(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> list[Any]:
    """Everything a model, and an optimizer of it, hold."""
    found = [(k, v.numpy().tobytes()) for k, v in model.state_dict().items()]
    for p in model.parameters() if optimizer is not None else ():
        for key, value in sorted(optimizer.state.get(p, {}).items()):
            found.append((key, value.numpy().tobytes() if isinstance(value, Tensor) else value))
    return found
