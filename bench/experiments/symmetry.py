"""Claims of Zhao et al., arXiv 2205.10637 and 2305.13404, and of their released code."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines.test_functions import descend
from bench.claims.ledger import Finding, Outcome
from bench.experiments.nets import digits
from teleport_core import TeleportResult, teleport

# Losses that such code changes by less than this are kept, up to rounding.
_KEPT = {torch.float64: 1e-9, torch.float32: 1e-3}


def _leaky(widths: Sequence[int], dtype: torch.dtype) -> nn.Sequential:
    """No biases and LeakyReLU(0.1), as the released code has it."""
    layers: list[nn.Module] = []
    for place in range(len(widths) - 1):
        layers += [nn.Linear(widths[place], widths[place + 1], bias=False, dtype=dtype)]
        layers += [nn.LeakyReLU(0.1)]
    return nn.Sequential(*layers[:-1])


def _half_squared_error(output: Tensor, target: Tensor) -> Tensor:
    return 0.5 * (output - target).square().sum()


def _demo(dtype: torch.dtype, seed: int, published: bool) -> TeleportResult:
    """The regression of the released script, five descent steps, then its teleport."""
    generator = torch.Generator().manual_seed(seed * seed * 12345)
    model = _leaky((5, 6, 7, 8), dtype)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.rand(weight.shape, generator=generator))
    x, y = (torch.rand(4, d, generator=generator).to(dtype) for d in (5, 8))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    for _ in range(5):
        optimizer.zero_grad()
        torch.autograd.backward(_half_squared_error(model(x), y))
        optimizer.step()
    options: dict[str, Any] = {
        "acts_on": "activations",
        "published": published,
        "lr": 1e-7,
        "steps": 8,
    }
    return teleport(model, _half_squared_error, (x, y), method="symmetry", **options)


def loss_of_the_demo(dtype: torch.dtype, seed: int) -> Finding:
    """What the teleport of the 2022 script does to the loss, and what the exact action does."""
    theirs, exact = _demo(dtype, seed, published=True), _demo(dtype, seed, published=False)
    fall, kept = (1 - result.loss[-1] / result.loss[0] for result in (theirs, exact))
    return Finding(
        outcome=Outcome.REPRODUCED if abs(fall) < _KEPT[dtype] else Outcome.REFUTED,
        value=fall,
        text=f"the loss falls by {100 * fall:.2g} % at the teleport itself; by the exact action it "
        f"changes by {abs(kept):.1g} of itself",
    )


def _identity(acts_on: str, dtype: torch.dtype, seed: int) -> tuple[float, float]:
    """Relative change of the outputs on the batch and on other data; the group element is I."""
    model, (batch, others) = _leaky((64, 48, 32, 10), dtype), digits(16, dtype, seed)
    before = [model(data[0]).detach() for data in (batch, others)]
    options: dict[str, Any] = {"acts_on": acts_on, "published": True, "lr": 1e-30, "steps": 1}
    teleport(model, nn.CrossEntropyLoss(), batch, method="symmetry", **options)
    after = [model(data[0]).detach() for data in (batch, others)]
    changes = [float((b - a).norm() / a.norm()) for a, b in zip(before, after, strict=True)]
    return changes[0], changes[1]


def identity_changes_nothing(dtype: torch.dtype, seed: int) -> Finding:
    """The released actions at g = I, on a batch smaller than the layers are wide."""
    changes = [_identity(acts_on, dtype, seed) for acts_on in ("activations", "preactivations")]
    largest = max(off for _, off in changes)
    return Finding(
        outcome=Outcome.REPRODUCED if largest < _KEPT[dtype] else Outcome.REFUTED,
        value=largest,
        low=min(off for _, off in changes),
        high=largest,
        text="outputs of other data change by "
        + " and ".join(f"{off:.2g}" for _, off in changes)
        + " of their norm (2022, 2023), those of the batch by "
        + " and ".join(f"{on:.1g}" for on, _ in changes),
    )


def _drift(n: int, widths: Sequence[int], dtype: torch.dtype, seed: int, published: bool) -> float:
    model, (batch, _) = _leaky(widths, dtype), digits(n, dtype, seed)
    before = model(batch[0]).detach()
    options: dict[str, Any] = {"published": published, "lr": 0.3, "steps": 8}
    teleport(model, nn.CrossEntropyLoss(), batch, method="symmetry", verify="off", **options)
    return float((model(batch[0]).detach() - before).norm() / before.norm())


def released_2023_is_exact(dtype: torch.dtype, seed: int) -> Finding:
    """Output drift of the released 2023 action, whose activations are those of the step before."""
    theirs, exact = (_drift(16, (64, 48, 32, 10), dtype, seed, p) for p in (True, False))
    return Finding(
        outcome=Outcome.REPRODUCED if theirs < 100 * max(exact, 1e-15) else Outcome.REFUTED,
        value=theirs,
        text=f"outputs of the batch drift by {theirs:.2g} as published, by {exact:.1g} where "
        "activations are made anew",
    )


def exact_while_samples_fit(dtype: torch.dtype, seed: int) -> Finding:
    """Output drift of the exact action with fewer and with more samples than units."""
    few = _drift(16, (64, 32, 32, 10), dtype, seed, published=False)
    many = _drift(128, (64, 32, 32, 10), dtype, seed, published=False)
    return Finding(
        outcome=Outcome.CONDITIONAL if many > 100 * few else Outcome.REPRODUCED,
        value=many,
        low=few,
        high=many,
        text=f"outputs drift by {few:.1g} with 16 samples and 32 units, by {many:.2g} with 128 "
        "samples",
    )


def booth_after_a_rotation(dtype: torch.dtype, seed: int) -> Finding:
    """Booth after nine steps, turned to the steepest point of its level at the fourth."""
    plain = descend("booth", lr=0.08, steps=10)
    moved = descend("booth", lr=0.08, steps=10, teleports={4: {"method": "so2"}})
    end, without = moved.loss[9], plain.loss[9]
    return Finding(
        outcome=Outcome.REPRODUCED if end < 0.1 * without else Outcome.REFUTED,
        value=end,
        text=f"after nine steps the loss is {end:.5g}, without a teleport {without:.5g}",
    )
