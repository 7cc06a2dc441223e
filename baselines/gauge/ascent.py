"""The loop over the steps of an orbit, and the line of one step for growth."""

import math
from collections.abc import Sequence

from baselines.gauge.orbit import Bounds, Orbit, direction, step
from baselines.gauge.pairs import Pair, slope
from teleport_core.ascent import Ascent
from teleport_core.nullspace.line import Seen
from teleport_core.results import Status


def climb(
    pairs: Sequence[Pair],
    bounds: Sequence[Bounds],
    start: Orbit,
    steps: int,
    lr: float,
    cap: float,
) -> tuple[Ascent, Orbit]:
    """Steps of a given lr, the cap tested before each; what happened, and where it ended.

    Losses are NaN: nobody computes one, as none changes.
    """
    orbit, norms, status = start, [start.grad_norm_sq()], Status.DONE
    if not math.isfinite(norms[0]):
        status, steps = Status.NON_FINITE, 0
    elif norms[0] < cap and not _up(pairs, start):
        status, steps = Status.NO_ASCENT_DIRECTION, 0
    while len(norms) <= steps:
        if norms[-1] >= cap:
            status = Status.CAPPED
            break
        after = step(pairs, bounds, orbit, lr)
        norm = math.inf if after is None else after.grad_norm_sq()
        if after is None or not math.isfinite(norm):
            status = Status.NON_FINITE
            break
        orbit = after
        norms.append(norm)
    taken = len(norms) - 1
    return Ascent(status, taken, None, None, [math.nan] * len(norms), norms), orbit


def _up(pairs: Sequence[Pair], orbit: Orbit) -> float:
    """||M^-1 D M^-1||^2 of all pairs: the slope of 1/2 ||g||^2 in lr."""
    found = 0.0
    for pair, now in zip(pairs, orbit.factors, strict=True):
        D = slope(pair, orbit.gradient, orbit.gradient)
        found += float(direction(now, D).square().sum())
    return found


class GaugeLine:
    """One step by its lr: ``teleport_core.nullspace.line.Line`` without a pass of the model.

    Attributes:
        orbit: where it stands.
    """

    def __init__(self, pairs: Sequence[Pair], bounds: Sequence[Bounds], start: Orbit) -> None:
        self._pairs, self._bounds = pairs, bounds
        self.orbit: Orbit = start
        self._origin = start

    def look(self) -> Seen:
        """||g||^2 where it stands."""
        return Seen.plain(self.orbit.grad_norm_sq())

    def aim(self, *, first: bool) -> float | None:
        """Begin a step here; None where there is no way up."""
        del first
        self._origin = self.orbit
        return _up(self._pairs, self.orbit) or None

    def go(self, length: float) -> None:
        """Be where a step of this lr leads; too long a one ends at the bounds."""
        self.orbit = self._origin
        if length:
            after = step(self._pairs, self._bounds, self._origin, length)
            self.orbit = self._origin if after is None else after
