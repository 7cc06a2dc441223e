"""Claims on what a move is worth, and on moves that need no data."""

from typing import Any

import torch
from torch import nn

from baselines.test_functions import problem_of
from bench.claims.ledger import Finding, Outcome
from bench.experiments.nets import digits, gradients, perceptron, squared_norm
from teleport_core import teleport


def _flat(model: nn.Module) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def small_rescalings_are_orthogonal(dtype: torch.dtype, seed: int) -> Finding:
    """The angle between a small random change of basis and the gradient."""
    cosines = []
    for draw in range(5):
        model, (batch, _) = perceptron((64, 128, 10), dtype), digits(64, dtype, seed)
        gradient = torch.cat([each.flatten() for each in gradients(model, batch)])
        before = _flat(model)
        options: dict[str, Any] = {
            "policy": "random",
            "bound": 1e-3,
            "seed": 10 * seed + draw,
            "steps": 1,
        }
        teleport(model, nn.CrossEntropyLoss(), batch, method="rescale", verify="off", **options)
        move = _flat(model) - before
        cosines.append(abs(float(move @ gradient / (move.norm() * gradient.norm()))))
    return Finding(
        outcome=Outcome.REPRODUCED if max(cosines) < 1e-2 else Outcome.REFUTED,
        value=max(cosines),
        text=f"cosines of at most {max(cosines):.1g} in five draws",
    )


def equal_norms_shrink_the_weights(dtype: torch.dtype, seed: int) -> Finding:
    """ENorm: squared weights and outputs of other data."""
    model, (batch, others) = perceptron((64, 64, 64, 10), dtype), digits(16, dtype, seed)
    with torch.no_grad():
        model.get_parameter("0.weight").mul_(torch.rand(64, 1, dtype=dtype) * 4)
    before, outputs = float(_flat(model).square().sum()), model(others[0]).detach()
    teleport(model, nn.CrossEntropyLoss(), batch, method="enorm")
    share = float(_flat(model).square().sum()) / before
    change = float((model(others[0]).detach() - outputs).norm() / outputs.norm())
    return Finding(
        outcome=Outcome.REPRODUCED if share < 1 and change < 1e-5 else Outcome.REFUTED,
        value=share,
        text=f"the squared norm falls to {share:.2f} of itself, outputs change by {change:.1g}",
    )


def channels_need_no_forward_pass(dtype: torch.dtype, seed: int) -> Finding:
    """Rescaled channels in front of a batch norm: their gradient goes with 1 / alpha."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(64, 32, dtype=dtype),
        nn.BatchNorm1d(32, dtype=dtype),
        nn.ReLU(),
        nn.Linear(32, 10, dtype=dtype),
    )
    batch, _ = digits(64, dtype, seed)
    before, outputs = gradients(model, batch)[0], model(batch[0]).detach()
    alpha = torch.rand(32, dtype=dtype) + 0.5
    with torch.no_grad():
        model.get_parameter("0.weight").mul_(alpha[:, None])
        model.get_parameter("0.bias").mul_(alpha)
    error = gradients(model, batch)[0] * alpha[:, None] - before
    off = float(error.norm() / before.norm())
    change = float((model(batch[0]).detach() - outputs).abs().max())
    return Finding(
        outcome=Outcome.REPRODUCED if off < 0.01 else Outcome.REFUTED,
        value=off,
        text=f"gradients are those by 1 / alpha to {off:.1g}; outputs move by {change:.1g}, by eps",
    )


def released_steps_know_no_units(dtype: torch.dtype, seed: int) -> Finding:
    """The released level set search with a loss in other units, after six steps."""
    ends = {}
    for published in (True, False):
        for unit in (1e-4, 1e4):
            booth = problem_of("booth", (5.0, -5.0))

            def scaled(output: torch.Tensor, target: Any, unit: float = unit) -> torch.Tensor:
                return unit * booth.loss_fn(output, target)  # noqa: B023  (called in this round)

            options: dict[str, Any] = {"rho": 1.0, "steps": 6, "published": published}
            data = (booth.inputs, booth.targets)
            teleport(booth.model, scaled, data, method="level_set", verify="off", **options)
            ends[published, unit] = _flat(booth.model)
    apart = {p: float((ends[p, 1e-4] - ends[p, 1e4]).norm()) for p in (True, False)}
    return Finding(
        outcome=Outcome.REPRODUCED if apart[True] < 1e-6 else Outcome.REFUTED,
        value=apart[True],
        text=f"ends lie {apart[True]:.2g} apart as released, {apart[False]:.1g} with ours",
    )


def a_reset_alone_changes_nothing(dtype: torch.dtype, seed: int) -> Finding:
    """Adam made anew eight times, with no teleport: its training loss over that without resets."""
    losses = []
    for reset in (False, True):
        torch.manual_seed(seed)
        model, (batch, _) = perceptron((64, 64, 10), dtype), digits(512, dtype, seed)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        for step in range(160):
            if reset and step % 20 == 0:
                optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
            found = gradients(model, batch)
            for parameter, gradient in zip(model.parameters(), found, strict=True):
                parameter.grad = gradient
            optimizer.step()
        losses.append(float(nn.functional.cross_entropy(model(batch[0]), batch[1]).detach()))
    ratio = losses[1] / losses[0]
    return Finding(
        outcome=Outcome.REPRODUCED if abs(ratio - 1) < 0.01 else Outcome.REFUTED,
        value=ratio,
        text=f"after 160 steps the training loss is {ratio:.3f} times that without resets",
    )


def level_set_on_a_network(dtype: torch.dtype, seed: int) -> Finding:
    """How far the loss of a perceptron ends from its level, and the gain."""
    model, (batch, _) = perceptron((64, 32, 10), dtype, nn.Tanh), digits(64, dtype, seed)
    result = teleport(
        model, nn.CrossEntropyLoss(), batch, method="level_set", rho=1.0, steps=10, sublevel=False
    )
    violation = abs(result.loss[-1] / result.loss[0] - 1)
    growth = float(squared_norm(gradients(model, batch))) / result.grad_norm_sq[0]
    kept = violation < (1e-5 if dtype is torch.float64 else 1e-3)
    return Finding(
        outcome=Outcome.REPRODUCED if kept and growth > 1 else Outcome.REFUTED,
        value=violation,
        text=f"the loss ends {violation:.1g} of itself away, ||g||^2 grows {growth:.3g}-fold",
    )
