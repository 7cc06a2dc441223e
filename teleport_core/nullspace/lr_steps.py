"""Steps of a given lr on any objective: Algorithm 1, lines 5-11, of the paper on a line."""

import math
from typing import NamedTuple

from teleport_core.ascent import Ascent
from teleport_core.nullspace.line import Line, Seen, ascent_of, refusal
from teleport_core.objectives.goal import Goal
from teleport_core.results import Status


class LrSteps(NamedTuple):
    """What is asked for: steps ``lr`` U long, none from where ||g||^2 has reached the cap."""

    lr: float
    cap: float
    goal: Goal

    def climb(self, line: Line, steps: int) -> Ascent:
        """At most so many steps; the point that the last one reaches is looked at, too."""
        seen = [line.look()]
        status = refusal(seen[0], self.cap, self.goal, positive=False)
        while status is None and len(seen) <= steps:
            if seen[-1].grad_norm_sq >= self.cap:
                status = Status.CAPPED
            elif line.aim(first=len(seen) == 1) is None:
                status = Status.NO_ASCENT_DIRECTION
            else:
                line.go(self.lr)
                there = line.look()
                if _finite(there):
                    seen.append(there)
                else:
                    line.go(0.0)
                    status = Status.NON_FINITE
        return ascent_of(status or Status.DONE, seen, [])


def _finite(seen: Seen) -> bool:
    return math.isfinite(seen.objective) and math.isfinite(seen.grad_norm_sq)
