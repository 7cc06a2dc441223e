"""J = <g, u(g)>: how much the next step of an optimizer lowers the loss, to first order in lr."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from teleport_core.errors import OptionError
from teleport_core.norms import real_view
from teleport_core.objectives import updates
from teleport_core.objectives.objective import Objective, differentiated
from teleport_core.problem import Parameters, Problem

UPDATES: dict[type[Optimizer], updates.Update] = {
    SGD: updates.sgd,
    Adagrad: updates.adagrad,
    RMSprop: updates.rmsprop,
    Adam: updates.adam,
    AdamW: updates.adam,
}
if hasattr(torch.optim, "Muon"):  # since torch 2.9
    UPDATES[torch.optim.Muon] = updates.muon


class NextStep(Objective):
    """J = sum <g, u(g)> over the parameters that an optimizer holds, per unit of lr.

    u is the update that it would take with this gradient from its present state, which stays as it
    is; from an empty state its first step. Where groups differ in lr, each counts in proportion,
    and the unit is the largest. Weight decay that is decoupled (AdamW, Muon) is no function of g
    and left out; decay that is added to the gradient is added here, with the weights as they are
    at the time, and v is the derivative by g alone.

    Raises:
        OptionError: the optimizer holds none of the model's parameters.
    """

    positive: ClassVar[bool] = True

    def __init__(self, optimizer: Optimizer, problem: Problem) -> None:
        self._update = UPDATES[type(optimizer)]
        self._state = optimizer.state
        names = {id(p): name for name, p in problem.parameters().items()}
        self._held = [
            (names[id(p)], p, group, share)
            for group, share in _with_shares(optimizer)
            for p in group["params"]
            if id(p) in names
        ]
        if not self._held:
            raise OptionError(
                f"expected an optimizer of this model as objective; {type(optimizer).__name__} "
                "holds none of its parameters: make it from model.parameters(), after the model "
                "was moved or wrapped"
            )

    def value_and_slope(
        self, gradient: Parameters, parameters: Parameters
    ) -> tuple[float, Parameters]:
        """J and v = u + (du/dg)^T g."""
        held = {name: gradient[name] for name, *_ in self._held if name in gradient}
        if not held:
            return 0.0, {name: torch.zeros_like(g) for name, g in gradient.items()}
        value, slope = differentiated(
            lambda leaves: self._decrease(leaves, parameters), held, "the optimizer"
        )
        stays = {name: torch.zeros_like(g) for name, g in gradient.items() if name not in held}
        return value, slope | stays

    def _decrease(self, gradient: Parameters, parameters: Parameters) -> Tensor:
        found = []
        for name, p, group, share in self._held:
            if name in gradient:
                g = real_view(gradient[name])
                state = {key: _real(value) for key, value in self._state.get(p, {}).items()}
                given = _given(g, real_view(parameters[name].detach()), group)
                found.append(
                    share * (g * self._update(given, group, state)).sum(dtype=torch.float64)
                )
        return torch.stack(found).sum()


def require_known(optimizer: Optimizer) -> None:
    """Refuse optimizers whose update nobody wrote down.

    Raises:
        OptionError: it names those that are known.
    """
    if type(optimizer) not in UPDATES:
        known = ", ".join(kind.__name__ for kind in UPDATES)
        raise OptionError(
            f"expected an optimizer as objective to be one of {known} of torch.optim; got "
            f"{type(optimizer).__name__}: use objective='l1' or 'nuclear', or a function of the "
            "gradients"
        )


def _with_shares(optimizer: Optimizer) -> Iterator[tuple[Mapping[str, Any], float]]:
    """Each group, and its lr in units of the largest."""
    groups = optimizer.param_groups
    lrs = [float(group["lr"]) for group in groups]
    largest = max(lrs, default=0.0)
    # All are 0 before a warm-up begins.
    return zip(groups, [lr / largest if largest else 1.0 for lr in lrs], strict=True)


def _given(g: Tensor, weight: Tensor, group: Mapping[str, Any]) -> Tensor:
    """What an optimizer makes of a gradient before anything else."""
    g = -g if group.get("maximize", False) else g
    decay = group["weight_decay"]
    # Muon's decay is decoupled, without a word in its group.
    decoupled = group.get("decoupled_weight_decay", "ns_steps" in group)
    return g if decoupled or not decay else g + float(decay) * weight


def _real(value: Any) -> Any:
    return real_view(value) if isinstance(value, Tensor) else value
