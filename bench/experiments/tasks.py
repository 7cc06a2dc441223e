"""Claims of Zhou et al., arXiv 2503.04046, and of their released code, on several tasks."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.claims.ledger import Finding, Outcome
from bench.experiments.nets import digits
from teleport_core import TeleportResult, teleport


class _TwoHeads(nn.Module):
    """A body that two tasks share: which digit it is, and whether it is odd."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        layers = (nn.Linear(64, 48, dtype=dtype), nn.ReLU(), nn.Linear(48, 48, dtype=dtype))
        self.body = nn.Sequential(*layers, nn.ReLU())
        self.digit, self.odd = nn.Linear(48, 10, dtype=dtype), nn.Linear(48, 2, dtype=dtype)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.body(x)
        return self.digit(hidden), self.odd(hidden)


def _losses(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
    digit, odd = outputs
    return torch.stack([F.cross_entropy(digit, targets), F.cross_entropy(odd, targets % 2)])


def _trained(dtype: torch.dtype, seed: int) -> tuple[_TwoHeads, tuple[Tensor, Tensor]]:
    """After thirty steps of Adam on a batch of 256."""
    torch.manual_seed(seed)
    model, (batch, _) = _TwoHeads(dtype), digits(256, dtype, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(30):
        optimizer.zero_grad()
        torch.autograd.backward(_losses(model(batch[0]), batch[1]).mean())
        optimizer.step()
    return model, batch


def _called(dtype: torch.dtype, seed: int, **options: Any) -> TeleportResult:
    model, batch = _trained(dtype, seed)
    options = {"trigger": "always", "steps": 20, "lr": 0.01, "seed": seed, **options}
    return teleport(model, _losses, batch, method="cost", **options)


def _change(result: TeleportResult) -> float:
    pairs = zip(result.task_losses[0], result.task_losses[-1], strict=True)
    return max(abs(end / begin - 1) for begin, end in pairs)


def losses_are_kept(dtype: torch.dtype, seed: int) -> Finding:
    """The largest relative change of a task's loss at two learning rates, as released and ours."""
    theirs = {lr: _change(_called(dtype, seed, published=True, lr=lr)) for lr in (0.01, 0.1)}
    ours = max(_change(_called(dtype, seed, gamma=1.0, lr=lr)) for lr in (0.01, 0.1))
    kept = [change < 0.02 for change in theirs.values()]
    return Finding(
        outcome=Outcome.REPRODUCED if all(kept) else Outcome.CONDITIONAL,
        value=theirs[0.1],
        low=theirs[0.01],
        high=theirs[0.1],
        text=f"a task's loss moves by {100 * theirs[0.01]:.2g} % at lr = 0.01 and by "
        f"{100 * theirs[0.1]:.3g} % at 0.1 as released, by {100 * ours:.2g} % with ours",
    )


def gradients_grow(dtype: torch.dtype, seed: int) -> Finding:
    """Growth of ||g||^2 of the mean loss with the paper's weight of L_g, and with ten times it."""
    growths = {}
    for gamma in (0.1, 1.0):
        result = _called(dtype, seed, gamma=gamma)
        growths[gamma] = result.grad_norm_sq[-1] / result.grad_norm_sq[0]
    return Finding(
        outcome=Outcome.REPRODUCED if min(growths.values()) > 1.02 else Outcome.CONDITIONAL,
        value=growths[0.1],
        text=f"||g||^2 times {growths[0.1]:.3g} with the paper's weight of 0.1, "
        f"{growths[1.0]:.3g} with 1.0",
    )


def first_objective_moves(dtype: torch.dtype, seed: int) -> Finding:
    """L_t alone, on one batch, where it is least at the start."""
    result = _called(dtype, seed, gamma=0.0)
    moved = result.steps_done > 0 and result.task_losses[0] != result.task_losses[-1]
    return Finding(
        outcome=Outcome.REPRODUCED if moved else Outcome.REFUTED,
        value=float(result.steps_done),
        text=f"{result.steps_done} steps: {result.status.name}",
    )


def resets_keep_the_schedule(dtype: torch.dtype, seed: int) -> Finding:
    """The learning rate after a reset as released, where StepLR halves it."""
    model = _TwoHeads(dtype)
    first = torch.optim.Adam(model.parameters(), lr=1e-4)
    schedule = torch.optim.lr_scheduler.StepLR(first, step_size=2, gamma=0.5)
    second = torch.optim.Adam(model.parameters(), lr=1e-4)  # what the released reset makes
    for optimizer in (first, second, second):
        _losses(model(torch.zeros(2, 64, dtype=dtype)), torch.zeros(2, dtype=torch.long)).sum()
        optimizer.step()
        schedule.step()
    rate, due = second.param_groups[0]["lr"], first.param_groups[0]["lr"]
    return Finding(
        outcome=Outcome.REPRODUCED if rate == due else Outcome.REFUTED,
        value=rate / due,
        text=f"the rate is {rate:.1g} where {due:.1g} is due: the schedule stays with the replaced "
        "optimizer",
    )
