"""Optimizers by name."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from bench.errors import SpecError


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
    "rmsprop": lambda parameters, lr: RMSprop(parameters, lr=lr),
    "adam": lambda parameters, lr: Adam(parameters, lr=lr),
    "adamw": lambda parameters, lr: AdamW(parameters, lr=lr),
    "muon": MuonWithAdamW,
}


def optimizer_for(name: str, parameters: Iterable[nn.Parameter], lr: float) -> Optimizer:
    """An optimizer of those of the parameters that are trained; torch's defaults but for momentum.

    Raises:
        SpecError: this torch has none of that name.
    """
    return _MAKERS[name]([p for p in parameters if p.requires_grad], lr)
