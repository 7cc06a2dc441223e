"""A step taken as far as one likes: what growth and other objectives than 1/2 ||g||^2 ask for."""

import math
from typing import NamedTuple, Protocol

from teleport_core.ascent import Ascent
from teleport_core.errors import OptionError
from teleport_core.objectives.goal import Goal
from teleport_core.results import Status


class Seen(NamedTuple):
    """What was found out at a point; the loss is NaN where the forward pass is frozen."""

    objective: float
    grad_norm_sq: float
    loss: float = math.nan

    @classmethod
    def plain(cls, grad_norm_sq: float, loss: float = math.nan) -> "Seen":
        """Where 1/2 ||g||^2 is climbed."""
        return cls(grad_norm_sq / 2, grad_norm_sq, loss)


class Line(Protocol):
    """The weights of a model, and the direction of the step that is being taken."""

    def look(self) -> Seen:
        """The objective J and ||g||^2 at the present weights; NaN or infinite where they are."""

    def aim(self, *, first: bool) -> float | None:
        """Begin a step where ``look`` looked last: its direction U = +-dJ/dW, in what is free.

        Returns ||U||^2, the size of the slope of J along U; None where the first is rounding.
        """

    def go(self, length: float) -> None:
        """Put the weights ``length`` along U from where the step began; 0 is there bit for bit."""


def refusal(seen: Seen, cap: float, goal: Goal | None, *, positive: bool) -> Status | None:
    """Why no step is taken from the start; None where one may be.

    Args:
        seen: the start.
        cap: of ||g||^2.
        goal: None for 1/2 ||g||^2.
        positive: whether the objective must be.

    Raises:
        OptionError: there is a gradient, and an objective that is no finite number.
    """
    if not math.isfinite(seen.grad_norm_sq):
        return Status.NON_FINITE
    if not math.isfinite(seen.objective):
        raise OptionError(
            f"expected an objective that is a finite number at the start; got {seen.objective}: "
            "look for a logarithm of 0 or an overflow in it"
        )
    if seen.grad_norm_sq >= cap:
        return Status.CAPPED
    must_be = positive or (goal is not None and goal.positive)
    return Status.NOT_POSITIVE if must_be and not seen.objective > 0 else None


def ascent_of(status: Status, seen: list[Seen], lrs: list[float]) -> Ascent:
    """What there is to say of a way that led through these points."""
    return Ascent(
        status=status,
        steps_done=len(seen) - 1,
        parameters=None,
        previous=None,
        loss=[each.loss for each in seen],
        grad_norm_sq=[each.grad_norm_sq for each in seen],
        lrs=lrs,
        objective=[each.objective for each in seen],
    )
