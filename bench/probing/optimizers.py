"""An optimizer at a learning rate and in a state that is copied, and their first step."""

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.problems.optimizers import optimizer_for

State = dict[str, Any] | None
"""Of an optimizer, as ``state_dict`` gives it; None where it has not stepped yet."""


def made(name: str, parameters: Iterable[nn.Parameter], lr: float, state: State) -> Optimizer:
    """An optimizer of its own, which goes on from ``state`` at another learning rate."""
    optimizer = optimizer_for(name, parameters, lr)
    if state is not None:
        optimizer.load_state_dict(deepcopy(state))
        for group in optimizer.param_groups:
            group["lr"] = lr
    return optimizer


def first_order_gain(name: str, model: nn.Module, state: State) -> float:
    """<g, u(g)> for the gradient g that the parameters hold, -lr u(g) the optimizer's next step.

    The decrease of the loss to first order for a learning rate of 1; parameters end as they began.
    The step is taken at lr = 1 from copies of the parameters, so that none of it is rounding.
    """
    copies = [nn.Parameter(torch.zeros_like(p)) for p in model.parameters()]
    gradients: list[Tensor | None] = [p.grad for p in model.parameters()]
    for copy, gradient in zip(copies, gradients, strict=True):
        copy.grad = None if gradient is None else gradient.clone()
    made(name, copies, 1.0, state).step()
    pairs = zip(copies, gradients, strict=True)
    return -sum(float((c.detach().double() * g.double()).sum()) for c, g in pairs if g is not None)
