"""When a run arrives at a target: first crossings along evaluation curves.

A run that is never seen at or below the target has no time. If it was still alive at its last
evaluation, all that is known is that it takes longer than that; if its loss ended at no finite
number it diverged, and never arrives.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Curve(NamedTuple):
    """The evaluations of one run, in their order.

    ``axis_values`` are steps, seconds or gradient equivalents, from 0 on and never descending (two
    evaluations around a teleport stand at the same step); ``losses`` are what was evaluated there.
    """

    axis_values: Sequence[float]
    losses: Sequence[float]


class Arrival(NamedTuple):
    """When one run arrived, in the unit of its axis."""

    time: float  # inf: it did not
    end: float  # of its last evaluation
    diverged: bool  # before it arrived

    @property
    def arrived(self) -> bool:
        """Whether the run was seen at or below the target."""
        return self.time < math.inf

    @property
    def earliest(self) -> float:
        """The time of the arrival; of a run that missed the target, what it exceeds."""
        return self.time if self.arrived or self.diverged else self.end


def time_to_target(axis_values: Sequence[float], losses: Sequence[float], target: float) -> float:
    """Where the losses first come down to ``target``, linear between two evaluations.

    inf where they do not. What comes after a loss that is not finite does not count.

    Raises:
        ValueError: a target that is not finite, or no curve (see ``checked``).
    """
    if not math.isfinite(target):
        raise ValueError(f"expected a finite target; got {target!r}")
    axis, values = checked(Curve(axis_values, losses))
    values = values[: alive(values)]
    below = np.flatnonzero(values <= target)
    if not len(below):
        return math.inf
    at = int(below[0])
    if at == 0:
        return float(axis[0])
    fraction = (values[at - 1] - target) / (values[at - 1] - values[at])
    return float(axis[at - 1] + fraction * (axis[at] - axis[at - 1]))


def arrival(curve: Curve, target: float) -> Arrival:
    """What is known of the time at which a run arrives at ``target``.

    Raises:
        ValueError: as ``time_to_target``.
    """
    time = time_to_target(*curve, target)
    diverged = time == math.inf and alive(np.asarray(curve.losses)) < len(curve.losses)
    return Arrival(time, float(curve.axis_values[-1]), diverged)


def alive(losses: Array) -> int:
    """How many evaluations come before the first loss that is not finite."""
    dead = np.flatnonzero(~np.isfinite(losses))
    return int(dead[0]) if len(dead) else len(losses)


def checked(curve: Curve) -> tuple[Array, Array]:
    """The curve as two arrays [evaluations].

    Raises:
        ValueError: no evaluations, another number of losses than of axis values, or axis values
            that are not finite, negative or descending.
    """
    axis, losses = (np.asarray(values, dtype=float) for values in curve)
    if axis.ndim != 1 or axis.shape != losses.shape or not len(axis):
        raise ValueError(
            f"expected one loss for each axis value, and at least one; got shapes {axis.shape} "
            f"and {losses.shape}: write a run that failed before its first evaluation as one "
            "evaluation with loss inf"
        )
    if not (np.isfinite(axis).all() and axis[0] >= 0 and (np.diff(axis) >= 0).all()):
        raise ValueError(
            f"expected axis values from 0 on that never descend; got {axis.tolist()}: "
            "put the evaluations in their order"
        )
    return axis, losses
