"""Optimizers by name, and the learning rate at every step."""

from collections.abc import Callable
from math import cos, pi
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer

from bench.errors import SpecError
from bench.training.settings import Training


class MuonWithAdamW(Optimizer):
    """Muon for matrices and AdamW for all else, as Muon is meant to be used; one optimizer."""

    def __init__(self, parameters: list[nn.Parameter], lr: float) -> None:
        matrices = [p for p in parameters if p.ndim == 2]
        others = [p for p in parameters if p.ndim != 2]
        self._inner: list[Optimizer] = [_muon()(matrices, lr=lr)] if matrices else []
        self._inner += [AdamW(others, lr=lr)] if others else []
        groups = [group for each in self._inner for group in each.param_groups]
        super().__init__(groups, {"lr": lr})

    def step(self, closure: Any = None) -> Any:
        """One step of both."""
        loss = None if closure is None else closure()
        for place, each in enumerate(self._inner):
            each.param_groups = [self.param_groups[place]]
            each.state = self.state
            each.step()
        return loss


def _muon() -> Callable[..., Optimizer]:
    found: Callable[..., Optimizer] | None = getattr(torch.optim, "Muon", None)
    if found is None:
        raise SpecError(
            f"expected a torch that has torch.optim.Muon for --optimizer muon; got torch "
            f"{torch.__version__}: use 2.9 or later, or another optimizer"
        )
    return found


_MAKERS: dict[str, Callable[[list[nn.Parameter], float], Optimizer]] = {
    "sgd": lambda parameters, lr: SGD(parameters, lr=lr),
    "momentum": lambda parameters, lr: SGD(parameters, lr=lr, momentum=0.9),
    "adagrad": lambda parameters, lr: Adagrad(parameters, lr=lr),
    "adam": lambda parameters, lr: Adam(parameters, lr=lr),
    "adamw": lambda parameters, lr: AdamW(parameters, lr=lr),
    "muon": MuonWithAdamW,
}


def optimizer_for(name: str, model: nn.Module, lr: float) -> Optimizer:
    """An optimizer of all parameters that are trained.

    Raises:
        SpecError: this torch has none of that name.
    """
    return _MAKERS[name]([p for p in model.parameters() if p.requires_grad], lr)


def set_lr(optimizer: Optimizer, lr: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def lr_factor(settings: Training, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at a step, of all steps of a run."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    done = step / steps
    if settings.lr_schedule == "cosine":
        return 0.5 * (1 + cos(pi * done))
    if settings.lr_schedule == "step":
        return 0.1 ** ((done >= 0.5) + (done >= 0.75))
    return 1.0
