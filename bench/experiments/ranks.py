"""Claims of Wu et al. on which directions are free, and of ours on what a step is."""

from typing import Any

import torch
from torch import nn

from bench.claims.ledger import Finding, Outcome
from bench.experiments.nets import Batch, digits, perceptron
from teleport_core import TeleportResult, teleport

_ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-3}


def _moved(model: nn.Module, batch: Batch, **options: Any) -> tuple[TeleportResult, float]:
    """The result, and the change of the outputs relative to their norm."""
    before = model(batch[0]).detach()
    options = {"method": "nullspace", "verify": "off", **options}
    result = teleport(model, nn.CrossEntropyLoss(), batch, **options)
    return result, float((model(batch[0]).detach() - before).norm() / before.norm())


def many_steps_stay(dtype: torch.dtype, seed: int) -> Finding:
    """Outputs after a hundred steps."""
    model, (batch, _) = perceptron((64, 128, 128, 10), dtype), digits(32, dtype, seed)
    result, change = _moved(model, batch, steps=100, lr=0.05, cap=100.0)
    growth = result.grad_norm_sq[-1] / result.grad_norm_sq[0]
    return Finding(
        outcome=Outcome.REPRODUCED if change < _ROUNDING[dtype] else Outcome.REFUTED,
        value=change,
        text=f"after {result.steps_done} steps and a {growth:.3g}-fold ||g||^2 outputs change by "
        f"{change:.1g} of their norm",
    )


def few_eigenvectors_hold_the_energy(dtype: torch.dtype, seed: int) -> Finding:
    """How many eigenvectors of the second layer's input hold 90 % of its energy."""
    model, (batch, _) = perceptron((64, 128, 128, 10), dtype), digits(128, dtype, seed)
    energies = torch.linalg.svdvals(model[1](model[0](batch[0])).double()).square()
    shares = energies.cumsum(0) / energies.sum()
    half, most = (int((shares < share).sum()) + 1 for share in (0.5, 0.9))
    return Finding(
        outcome=Outcome.REPRODUCED if most < 0.25 * len(shares) else Outcome.REFUTED,
        value=float(most),
        text=f"{half} of {len(shares)} eigenvectors hold half of the energy, {most} hold 90 %",
    )


def energy_in_float32_is_exact(dtype: torch.dtype, seed: int) -> Finding:
    """More samples than features: the paper's rule at tau = 1, summed in float32."""
    drifts, free = {}, {}
    for rule in ("energy_float32", "numerical"):
        torch.manual_seed(seed)
        model, (batch, _) = perceptron((64, 48, 48, 10), dtype), digits(512, dtype, seed)
        options: dict[str, Any] = {"rank_rule": rule, "steps": 8, "lr": 1.0}
        result, drifts[rule] = _moved(model, batch, **options)
        free[rule] = sum(sum(found or []) for found in result.null_dims.values())
    inexact = free["energy_float32"] > free["numerical"] and drifts["energy_float32"] > 1e-8
    return Finding(
        outcome=Outcome.CONDITIONAL if inexact else Outcome.REPRODUCED,
        value=drifts["energy_float32"],
        text=f"512 samples of 48 features: {free['energy_float32']} directions are called free "
        f"where {free['numerical']} are, and outputs drift by {drifts['energy_float32']:.1g}",
    )


def tau_below_one_keeps_the_loss(dtype: torch.dtype, seed: int) -> Finding:
    """The loss at tau = 0.99 and 0.9 where ||g||^2 grows fourfold."""
    drifts = {}
    for tau in (0.99, 0.9):
        torch.manual_seed(seed)
        model, (batch, _) = perceptron((64, 128, 128, 10), dtype), digits(32, dtype, seed)
        result, _ = _moved(model, batch, tau=tau, growth=4.0, verify="full")
        drifts[tau] = abs(result.loss[-1] / result.loss[0] - 1)
    flat = drifts[0.99] < 0.01
    return Finding(
        outcome=Outcome.REPRODUCED if flat else Outcome.REFUTED,
        value=drifts[0.99],
        low=min(drifts.values()),
        high=max(drifts.values()),
        text=f"the loss moves by {drifts[0.99]:.1g} of itself at tau = 0.99, by {drifts[0.9]:.1g} "
        "at 0.9",
    )


def exact_directions_are_enough(dtype: torch.dtype, seed: int) -> Finding:
    """A convolutional network, whose patches outnumber their entries: the gain at tau = 1."""
    growths = {}
    for options in ({"tau": 1.0}, {"max_drift": 1e-3}):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            *(nn.Conv2d(1, 8, 3, dtype=dtype), nn.LeakyReLU()),
            *(nn.Conv2d(8, 8, 3, dtype=dtype), nn.LeakyReLU()),
            *(nn.Flatten(), nn.Linear(128, 10, dtype=dtype)),
        )
        batch, _ = digits(32, dtype, seed)
        result, _ = _moved(model, batch, steps=8, lr=0.5, **options)
        growths[next(iter(options))] = result.grad_norm_sq[-1] / result.grad_norm_sq[0]
    enough = growths["tau"] > 0.8 * growths["max_drift"]
    return Finding(
        outcome=Outcome.REPRODUCED if enough else Outcome.CONDITIONAL,
        value=growths["tau"],
        text=f"||g||^2 grows {growths['tau']:.3g}-fold in the exact null space, "
        f"{growths['max_drift']:.3g}-fold where the loss may move by 1e-3",
    )


def half_a_product_is_the_step(dtype: torch.dtype, seed: int) -> Finding:
    """Weights after four steps by the fast engine and by the published formulation."""
    ends = []
    for engine in ("half_hvp", "textbook"):
        torch.manual_seed(seed)
        model, (batch, _) = perceptron((64, 96, 96, 10), dtype), digits(24, dtype, seed)
        _moved(model, batch, engine=engine, steps=4, lr=0.1)
        ends.append(torch.cat([each.detach().flatten() for each in model.parameters()]))
    difference = float((ends[0] - ends[1]).norm() / ends[1].norm())
    return Finding(
        outcome=Outcome.REPRODUCED if difference < _ROUNDING[dtype] / 100 else Outcome.REFUTED,
        value=difference,
        text=f"weights differ by {difference:.1g} of their norm after four steps",
    )
