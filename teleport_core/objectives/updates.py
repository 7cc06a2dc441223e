"""The update u that an optimizer of torch would take with a gradient, per unit of its lr.

W <- W - lr u, from the state it is in, an empty one included. Written anew so that u can be
differentiated by g; decay of the weights that is decoupled from the gradient is no part of it.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from teleport_core.objectives.nuclear import newton_schulz

Update = Callable[[Tensor, Mapping[str, Any], Mapping[str, Any]], Tensor]
"""(g, the group's settings, the parameter's state) -> u."""


def sgd(g: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]) -> Tensor:
    """Momentum, dampening and Nesterov (torch.optim.SGD)."""
    momentum = float(group["momentum"])
    if not momentum:
        return g
    known = state.get("momentum_buffer")
    buffer: Tensor = g if known is None else momentum * known + (1 - group["dampening"]) * g
    return g + momentum * buffer if group["nesterov"] else buffer


def adagrad(g: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]) -> Tensor:
    """The gradient over the root of all squares so far (torch.optim.Adagrad)."""
    decay = 1 + _steps(state) * float(group["lr_decay"])
    size: Tensor = _root(state["sum"] + g.square()) + float(group["eps"])
    return g / (size * decay)


def rmsprop(g: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]) -> Tensor:
    """The gradient over the root of a mean of squares, with momentum (torch.optim.RMSprop)."""
    alpha = group["alpha"]
    mean_square = _mean(state.get("square_avg"), g.square(), alpha)
    if group["centered"]:
        mean_square = mean_square - _mean(state.get("grad_avg"), g, alpha).square()
    update: Tensor = g / (_root(mean_square) + float(group["eps"]))
    buffer: Tensor | None = state.get("momentum_buffer")
    if group["momentum"] > 0 and buffer is not None:
        return update + float(group["momentum"]) * buffer
    return update


def adam(g: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]) -> Tensor:
    """Means of g and g^2, corrected for their start (torch.optim.Adam and AdamW)."""
    step = _steps(state) + 1
    first, second = (float(beta) for beta in group["betas"])
    mean: Tensor = _mean(state.get("exp_avg"), g, first)
    mean_square = _mean(state.get("exp_avg_sq"), g.square(), second)
    if group["amsgrad"] and "max_exp_avg_sq" in state:
        mean_square = torch.maximum(state["max_exp_avg_sq"], mean_square)
    start: tuple[float, float] = 1 - first**step, 1 - second**step
    size: Tensor = _root(mean_square) / math.sqrt(start[1]) + float(group["eps"])
    return mean / size / start[0]


def muon(g: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]) -> Tensor:
    """Newton-Schulz on the momentum, by the group's coefficients (torch.optim.Muon).

    In the precision of the gradient; torch rounds to bfloat16, so that its own u differs by 1 %.
    """
    momentum, (rows, columns) = float(group["momentum"]), g.shape
    buffer = _mean(state.get("momentum_buffer"), g, momentum)
    direction = torch.lerp(g, buffer, momentum) if group["nesterov"] else buffer
    iterations = (tuple(group["ns_coefficients"]),) * group["ns_steps"]
    factor = newton_schulz(direction, iterations, group["eps"])
    if group["adjust_lr_fn"] == "match_rms_adamw":
        return factor * (0.2 * math.sqrt(max(rows, columns)))
    return factor * math.sqrt(max(1.0, rows / columns))


def _mean(known: Tensor | None, new: Tensor, share: float) -> Tensor:
    return (1 - share) * new if known is None else torch.lerp(new, known, share)


def _steps(state: Mapping[str, Any]) -> float:
    return float(state.get("step", 0))


def _root(values: Tensor) -> Tensor:
    """The square root, its derivative 0 where it has none."""
    there = values > 0
    return torch.where(there, torch.where(there, values, 1.0).sqrt(), 0.0)
