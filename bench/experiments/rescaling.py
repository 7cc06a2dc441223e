"""Claims of Armenta et al., arXiv 2012.01118, and of their released code."""

import math
from typing import Any

import torch
from torch import nn

from bench.claims.ledger import Finding, Outcome
from bench.experiments.nets import digits, gradients, perceptron
from teleport_core import teleport

_EXACT = {torch.float64: 1e-12, torch.float32: 1e-4}


def _random(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor], seed: int) -> None:
    options: dict[str, Any] = {"policy": "random", "bound": 0.5, "seed": seed, "steps": 1}
    teleport(model, nn.CrossEntropyLoss(), batch, method="rescale", **options)


def keeps_the_function(dtype: torch.dtype, seed: int) -> Finding:
    """Outputs of other data after a change of basis."""
    model, (batch, others) = perceptron((64, 32, 32, 10), dtype), digits(16, dtype, seed)
    before = model(others[0]).detach()
    _random(model, batch, seed)
    change = float((model(others[0]).detach() - before).abs().max())
    return Finding(
        outcome=Outcome.REPRODUCED if change < _EXACT[dtype] else Outcome.REFUTED,
        value=change,
        text=f"outputs of data that it did not see change by {change:.1g} at most",
    )


def larger_gradients_as_expected(dtype: torch.dtype, seed: int) -> Finding:
    """Squared gradient between hidden layers after random moves, over that before, in the mean."""
    batch, _ = digits(16, dtype, seed)
    growths = []
    for draw in range(60):
        model = perceptron((64, 32, 32, 10), dtype)
        before = float(gradients(model, batch)[2].square().sum())
        _random(model, batch, 1000 * seed + draw)
        growths.append(float(gradients(model, batch)[2].square().sum()) / before)
    mean = sum(growths) / len(growths)
    error = math.sqrt(sum((g - mean) ** 2 for g in growths)) / len(growths)
    expected = (1 + 0.25 / 3) / (1 - 0.25)
    met = abs(mean - expected) < 3 * error
    return Finding(
        outcome=Outcome.REPRODUCED if met else Outcome.REFUTED,
        value=mean,
        low=mean - 1.96 * error,
        high=mean + 1.96 * error,
        text=f"squared gradients grow {mean:.3f} +- {1.96 * error:.2g}-fold; {expected:.3f} is "
        "expected",
    )


def weight_decay_is_preserved(dtype: torch.dtype, seed: int) -> Finding:
    """The squared norm of the weights, which weight decay adds to the loss."""
    model, (batch, _) = perceptron((64, 256, 256, 10), dtype), digits(16, dtype, seed)
    options: dict[str, Any] = {"policy": "random", "bound": 0.9, "seed": seed, "steps": 1}
    before = float(model.get_parameter("2.weight").detach().square().sum())
    teleport(model, nn.CrossEntropyLoss(), batch, method="rescale", **options)
    growth = float(model.get_parameter("2.weight").detach().square().sum()) / before
    return Finding(
        outcome=Outcome.REPRODUCED if abs(growth - 1) < 0.01 else Outcome.REFUTED,
        value=growth,
        text=f"the squared norm between hidden layers grows {growth:.2f}-fold at a range of 0.9",
    )


def norms_may_drop_their_division(dtype: torch.dtype, seed: int) -> Finding:
    """Batch norm in train mode behind rescaled channels, without the released input division."""
    norm = nn.BatchNorm1d(4, dtype=dtype)
    z = torch.randn(64, 4, dtype=dtype)
    tau = torch.tensor([0.1, 0.5, 1.5, 1.9], dtype=dtype)
    found = []
    for deviation in (1.0, 0.05):
        before, after = norm(deviation * z), norm(deviation * tau * z)
        found.append(float(((after - before).abs().max() / before.abs().max()).detach()))
    return Finding(
        outcome=Outcome.REFUTED if max(found) > 1e-3 else Outcome.REPRODUCED,
        value=max(found),
        low=min(found),
        high=max(found),
        text=f"outputs change by {found[0]:.1g} at a deviation of 1, by {found[1]:.2g} at 0.05",
    )
