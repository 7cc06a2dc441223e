"""What one call climbs on one problem: read from its options, and bound to the model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from teleport_core.errors import OptionError
from teleport_core.objectives.l1 import L1
from teleport_core.objectives.nuclear import Nuclear
from teleport_core.objectives.objective import (
    HalfSquare,
    Objective,
    differentiated,
    require_scalar,
)
from teleport_core.objectives.optimizer import NextStep, require_known
from teleport_core.problem import Parameters, Problem

NAMED: dict[str, type[Objective]] = {"l2": HalfSquare, "l1": L1, "nuclear": Nuclear}
DIRECTIONS = ("up", "down")


class OfParameters(Protocol):
    """A number that is no function of the gradient: a loss on other data, sharpness, curvature."""

    def value(self, problem: Problem, parameters: Parameters) -> Tensor:
        """A scalar that torch can differentiate by the parameters, which are leaves.

        Called twice at the same parameters it answers the same.
        """


class OfGradients(Objective):
    """Any function of the gradients by parameter name."""

    def __init__(self, function: Callable[[Parameters], Tensor]) -> None:
        self._function = function

    def value_and_slope(
        self, gradient: Parameters, parameters: Parameters
    ) -> tuple[float, Parameters]:
        """J and v."""
        del parameters
        return differentiated(self._function, gradient, "the objective")


@dataclass(frozen=True)
class Goal:
    """What is climbed, or with ``down`` descended.

    Attributes:
        objective: of the gradient; None where ``of_parameters`` takes its place.
    """

    objective: Objective | None
    of_parameters: OfParameters | None = None
    down: bool = False

    @property
    def positive(self) -> bool:
        """Whether it must be positive at the start."""
        return self.objective is not None and self.objective.positive

    def look(self, gradient: Parameters, parameters: Parameters) -> tuple[float, Parameters]:
        """J, and v = dJ/dg, or its opposite where the way is down."""
        assert self.objective is not None
        with torch.no_grad():
            plain = {name: g.detach() for name, g in gradient.items()}
            value, slope = self.objective.value_and_slope(plain, parameters)
            return value, {name: -v for name, v in slope.items()} if self.down else slope

    def value_of(self, problem: Problem, leaves: Parameters) -> Tensor:
        """The objective of the parameters, with its graph; its opposite where the way is down.

        Raises:
            OptionError: it is no scalar, or does not depend on the parameters.
        """
        assert self.of_parameters is not None
        value = self.of_parameters.value(problem, leaves)
        require_scalar(value, f"{type(self.of_parameters).__name__}.value", "the parameters")
        return -value if self.down else value


def read_objective(value: Any) -> Any:
    """The option as it was given, if it is one.

    Raises:
        OptionError: it is none of what an objective can be.
    """
    if isinstance(value, Optimizer):
        require_known(value)
    elif isinstance(value, str):
        if value not in NAMED:
            raise _unknown(value)
    elif isinstance(value, type) or not (callable(value) or _is_of_parameters(value)):
        raise _unknown(value)
    return value


def is_plain(objective: Any, direction: str) -> bool:
    """Whether it is 1/2 ||g||^2, upwards: what methods climb without being asked."""
    return isinstance(objective, str) and objective == "l2" and direction == "up"


def is_of_parameters(objective: Any) -> bool:
    """Whether a read option has a value of its own, which is no function of the gradient."""
    return not isinstance(objective, (str, Optimizer)) and _is_of_parameters(objective)


def goal_of(objective: Any, direction: str, problem: Problem) -> Goal | None:
    """Options that were read, bound to a problem; None for 1/2 ||g||^2, upwards.

    Raises:
        OptionError: an optimizer of another model.
    """
    if is_plain(objective, direction):
        return None
    down = direction == "down"
    if isinstance(objective, str):
        return Goal(NAMED[objective](), down=down)
    if isinstance(objective, Optimizer):
        return Goal(NextStep(objective, problem), down=down)
    if is_of_parameters(objective):
        return Goal(None, objective, down)
    return Goal(OfGradients(objective), down=down)


def _is_of_parameters(value: Any) -> bool:
    return callable(getattr(value, "value", None))


def _unknown(value: Any) -> OptionError:
    return OptionError(
        f"expected objective to be one of {', '.join(NAMED)}, an optimizer of torch, a function of "
        f"the gradients, or an object with value(problem, parameters); got {value!r}"
    )
