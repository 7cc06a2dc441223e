"""Claims of Wu et al., arXiv 2502.11362."""

import torch
from torch import nn

from bench.claims.ledger import Finding, Outcome
from bench.experiments.nets import Batch, digits, gradients, loss_of, perceptron, squared_norm
from teleport_core import teleport

_WIDTHS = (64, 256, 256, 10)
_ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-3}


def outputs_stay(dtype: torch.dtype, seed: int) -> Finding:
    """Outputs of the batch after steps that multiply ||g||^2 by 4."""
    model, (batch, _) = perceptron(_WIDTHS, dtype), digits(32, dtype, seed)
    before = model(batch[0]).detach()
    result = teleport(
        model, nn.CrossEntropyLoss(), batch, method="nullspace", growth=4.0, verify="off"
    )
    change = float(((model(batch[0]) - before).norm() / before.norm()).detach())
    growth = result.grad_norm_sq[-1] / result.grad_norm_sq[0]
    kept = change < _ROUNDING[dtype] and growth > 3.9
    return Finding(
        outcome=Outcome.REPRODUCED if kept else Outcome.REFUTED,
        value=change,
        text=f"outputs on the batch change by {change:.2g} of their norm while ||g||^2 grows "
        f"{growth:.2f}-fold",
    )


def _teleport_gradient(model: nn.Module, batch: Batch) -> list[torch.Tensor]:
    found = gradients(model, batch, graph=True)
    return list(torch.autograd.grad(squared_norm(found) / 2, list(model.parameters())))


def _outside(model: nn.Sequential, batch: Batch) -> list[float]:
    """Of each weight's teleport gradient, the share of its norm outside the span of its inputs."""
    ascent = dict(
        zip(dict(model.named_parameters()), _teleport_gradient(model, batch), strict=True)
    )
    shares, x = [], batch[0]
    for name, layer in model.named_children():
        if isinstance(layer, nn.Linear):
            basis = torch.linalg.svd(x.double().T, full_matrices=False)[0][:, : len(x)]
            step = ascent[f"{name}.weight"].double()
            shares.append(float((step - step @ basis @ basis.T).norm() / step.norm()))
        x = layer(x).detach()
    return shares


def gradient_lies_in_the_span(dtype: torch.dtype, seed: int) -> Finding:
    """The part of H g outside the span of each layer's input, which is what moves at tau = 1."""
    model, (batch, _) = perceptron(_WIDTHS, dtype), digits(16, dtype, seed)
    first, *others = _outside(model, batch)
    inside = max(others) < 1e-3
    return Finding(
        outcome=Outcome.REPRODUCED if inside else Outcome.REFUTED,
        value=min(others),
        low=min(others),
        high=max(others),
        text=f"outside the span lie {first:.1g} of the first layer's, {min(others):.2f} to "
        f"{max(others):.2f} of the others'",
    )


def _growth_along(sign: float, dtype: torch.dtype, seed: int) -> float:
    model, (batch, _) = perceptron(_WIDTHS, dtype), digits(16, dtype, seed)
    before = float(squared_norm(gradients(model, batch)))
    ascent = _teleport_gradient(model, batch)
    scale = 0.05 / float(torch.sqrt(squared_norm(ascent)))
    with torch.no_grad():
        for parameter, step in zip(model.parameters(), ascent, strict=True):
            parameter.add_(sign * scale * step)
    return float(squared_norm(gradients(model, batch))) / before


def minus_ascends(dtype: torch.dtype, seed: int) -> Finding:
    """One small step along minus and plus the gradient of 1/2 ||g||^2."""
    minus, plus = _growth_along(-1.0, dtype, seed), _growth_along(1.0, dtype, seed)
    return Finding(
        outcome=Outcome.REPRODUCED if minus > 1 else Outcome.REFUTED,
        value=minus,
        text=f"||g||^2 times {minus:.3f} with the minus of line 6, {plus:.3f} with the plus of "
        "equation 5",
    )


def other_data_keep_their_loss(dtype: torch.dtype, seed: int) -> Finding:
    """The loss on data that the teleport did not see."""
    model, (batch, others) = perceptron(_WIDTHS, dtype), digits(32, dtype, seed)
    before, on_batch = loss_of(model, others), loss_of(model, batch)
    teleport(model, nn.CrossEntropyLoss(), batch, method="nullspace", growth=16.0)
    change = loss_of(model, others) / before - 1
    kept = loss_of(model, batch) / on_batch - 1
    return Finding(
        outcome=Outcome.CONDITIONAL if abs(change) > 10 * abs(kept) else Outcome.REPRODUCED,
        value=change,
        text=f"with ||g||^2 16 times as large the loss changes by {kept:+.1g} on the batch and by "
        f"{change:+.2g} of itself on other data",
    )


def cap_bounds_the_norm(dtype: torch.dtype, seed: int) -> Finding:
    """||g||^2 at the end of a call with Table 1's cap of 5."""
    model, (batch, _) = perceptron(_WIDTHS, dtype), digits(32, dtype, seed)
    result = teleport(
        model, nn.CrossEntropyLoss(), batch, method="nullspace", steps=50, lr=0.2, cap=5.0
    )
    end = result.grad_norm_sq[-1]
    return Finding(
        outcome=Outcome.REPRODUCED if end <= 5.0 else Outcome.REFUTED,
        value=end,
        text=f"||g||^2 goes from {result.grad_norm_sq[-2]:.3g} to {end:.3g}: the cap is asked "
        "before a step, not after",
    )


def small_perceptron_has_room(dtype: torch.dtype, seed: int) -> Finding:
    """Free dimensions of 784-16-10-10 on a batch of 32, at tau = 1."""
    model = perceptron((784, 16, 10, 10), dtype, nn.Sigmoid)
    batch = (torch.rand(32, 784, dtype=dtype), torch.randint(0, 10, (32,)))
    result = teleport(model, nn.CrossEntropyLoss(), batch, method="nullspace", steps=4, lr=0.1)
    free = sum(sum(found or []) for found in result.null_dims.values())
    return Finding(
        outcome=Outcome.REPRODUCED if free else Outcome.REFUTED,
        value=float(free),
        text=f"{free} free dimensions in the layers that could use them; {result.status.name}",
    )


def first_layer_moves(dtype: torch.dtype, seed: int) -> Finding:
    """How far each layer moves at tau = 1."""
    model, (batch, _) = perceptron(_WIDTHS, dtype), digits(32, dtype, seed)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    teleport(model, nn.CrossEntropyLoss(), batch, method="nullspace", growth=4.0)
    moves = [
        float((now.detach() - then).norm())
        for now, then in zip(model.parameters(), before, strict=True)
    ][::2]
    return Finding(
        outcome=Outcome.REPRODUCED if moves[0] > 0 else Outcome.REFUTED,
        value=moves[0],
        text=f"weights move by {moves[0]:.3g}, {moves[1]:.3g} and {moves[2]:.3g} in Frobenius norm",
    )
