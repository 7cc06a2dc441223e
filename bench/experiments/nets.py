"""The networks and batches that experiments run on."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

Batch = tuple[torch.Tensor, torch.Tensor]


def perceptron(
    widths: Sequence[int], dtype: torch.dtype, activation: type[nn.Module] = nn.LeakyReLU
) -> nn.Sequential:
    """Linear layers of these widths with an activation between them; torch's initialisation."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths[:-1]):
        layers += [nn.Linear(inputs, outputs, dtype=dtype), activation()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], dtype=dtype))


def digits(n: int, dtype: torch.dtype, seed: int) -> tuple[Batch, Batch]:
    """A batch of scikit-learn's digits [n, 64] in [0, 1], and all others."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = torch.randperm(len(found.target), generator=torch.Generator().manual_seed(seed))
    inputs = torch.tensor(found.data, dtype=dtype)[order] / 16
    targets = torch.tensor(found.target)[order]
    return (inputs[:n], targets[:n]), (inputs[n:], targets[n:])


def loss_of(model: nn.Module, batch: Batch) -> float:
    """Cross-entropy, in the model's dtype."""
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(batch[0]), batch[1]))


def gradients(model: nn.Module, batch: Batch, graph: bool = False) -> list[torch.Tensor]:
    """Of the cross-entropy, for every parameter; with ``graph`` they can be derived again."""
    loss = nn.functional.cross_entropy(model(batch[0]), batch[1])
    return list(torch.autograd.grad(loss, list(model.parameters()), create_graph=graph))


def squared_norm(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum of all squares."""
    return torch.stack([(each * each).sum() for each in tensors]).sum()
