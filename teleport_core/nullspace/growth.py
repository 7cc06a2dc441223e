"""Steps as long as it takes for the objective J to grow by a given factor, or to shrink by it.

A step goes along its direction U from where it begins, W + s U. Where the forward pass is frozen
1/2 ||g||^2 is a polynomial in s, with the slope ||U||^2 at s = 0; a trial costs one backward pass,
and the last one of a step is the first pass of the next step. On the way down 1/J grows, with the
slope ||U||^2 / J^2.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from teleport_core.ascent import Ascent
from teleport_core.nullspace.line import Line, Seen, ascent_of, refusal
from teleport_core.nullspace.polynomial import Trial, next_length
from teleport_core.objectives.goal import Goal
from teleport_core.results import Status

# J ends this close to what was asked for, as a share; a step on the way so close.
_AT_THE_END = 0.01
_ON_THE_WAY = 0.025
# Farther off, the growth counts as missed.
_MISSED = 0.05
# So many backward passes a step, and in all as many at least.
_PASSES = 3
_FEWEST = 20
# Of these each later step keeps: one for a trial, one to look again where an earlier one was best.
_RESERVED = 2
# b / a^2 of 1 + a s + b s^2 before a step has shown it: that of a square, (1 + a s / 2)^2.
_BEND = 0.25


class Plan(NamedTuple):
    """What is asked for.

    Attributes:
        growth: J at the end in units of that at the start, or the other way round on the way down.
        planned: steps that lead there, each the same factor.
        cap: 1/2 ||g||^2, where that is climbed, never passes cap / 2; else no step is taken once
            ||g||^2 has reached it.
        goal: None for 1/2 ||g||^2.
    """

    growth: float
    planned: int
    cap: float
    goal: Goal | None = None

    def climb(self, line: Line, steps: int) -> Ascent:
        """The first ``steps`` of the planned steps, the same ones however many are asked for."""
        return Climber(line, self).climb(steps)

    @property
    def bound(self) -> float:
        """What ``of`` never passes."""
        return self.cap / 2 if self.goal is None else math.inf

    @property
    def down(self) -> bool:
        """Whether J shrinks."""
        return self.goal is not None and self.goal.down

    def of(self, objective: float) -> float:
        """What grows; never reached where J leaves what has an inverse."""
        if not self.down:
            return objective
        return 1 / objective if objective > 0 else math.inf


class Window(NamedTuple):
    """Where a step may end, and where it should."""

    low: float
    aim: float
    high: float


class _Step(NamedTuple):
    length: float
    seen: Seen
    bend: float


@dataclass
class Climber:
    """Takes steps along a line; ``passes`` counts backward passes."""

    line: Line
    plan: Plan
    passes: int = 0

    def climb(self, steps: int) -> Ascent:
        """The first ``steps`` of the planned steps, the same ones however many are asked for."""
        plan = self.plan
        seen, lrs, bend = [self._look()], list[float](), _BEND
        status = refusal(seen[0], plan.cap, plan.goal, positive=plan.goal is not None)
        steps = min(steps, plan.planned)
        while status is None and len(lrs) < steps:
            if plan.goal is not None and seen[-1].grad_norm_sq >= plan.cap:
                status = Status.CAPPED
                break
            slope = self.line.aim(first=not lrs)
            if slope is None:
                status = Status.GROWTH_NOT_REACHED if lrs else Status.NO_ASCENT_DIRECTION
                break
            start, here = plan.of(seen[0].objective), plan.of(seen[-1].objective)
            if plan.down:
                slope *= here**2
            window = self._window(start, len(lrs))
            later = plan.planned - len(lrs) - 1
            step = self._step(seen[-1], slope, window, bend, later=later)
            if step.length:
                lrs.append(step.length)
                seen.append(step.seen)
                bend = step.bend
            status = self._after(start, step, window, len(lrs))
        return ascent_of(status or Status.DONE, seen, lrs)

    def _window(self, start: float, step: int) -> Window:
        growth, planned, cap = self.plan.growth, self.plan.planned, self.plan.bound
        close = _AT_THE_END if step == planned - 1 else _ON_THE_WAY
        aim = start * growth ** ((step + 1) / planned)
        if aim > cap:
            return Window((1 - _AT_THE_END) * cap, (1 - _AT_THE_END / 2) * cap, cap)
        return Window((1 - close) * aim, aim, min((1 + close) * aim, cap))

    def _after(self, start: float, step: _Step, window: Window, taken: int) -> Status | None:
        """How the climb ends after a step; None where it goes on."""
        growth, planned, cap = self.plan.growth, self.plan.planned, self.plan.bound
        met = abs(self.plan.of(step.seen.objective) / window.aim - 1) <= _MISSED
        if not step.length or (taken == planned and not met):
            return Status.GROWTH_NOT_REACHED
        # The step that the cap cut short is the last one.
        cut = start * growth ** (taken / planned) > cap
        if not cut:
            return None
        return Status.CAPPED if met else Status.GROWTH_NOT_REACHED

    def _step(
        self, origin: Seen, slope: float, window: Window, bend: float, *, later: int
    ) -> _Step:
        """Go to where J is in the window, or as near to it as trials find.

        ``later`` steps are to come.
        """
        here = self.plan.of(origin.objective)
        if not (slope > 0 and math.isfinite(slope) and math.isfinite(window.high)):
            return _Step(0.0, origin, bend)
        trials: list[Trial] = []
        points: dict[float, Seen] = {0.0: origin}
        length = _first_length(here, slope, window.aim, bend)
        while True:
            points[length] = self._try(length)
            trials.append(Trial(length, self.plan.of(points[length].objective)))
            if window.low <= trials[-1].value <= window.high or not self._may_try(later):
                break
            length = next_length(here, slope, window, trials)
        best = _nearest(here, window, trials)
        if best is not trials[-1]:
            self.line.go(best.length)
            if best.length and later:
                self._look()
        return _Step(best.length, points[best.length], _bend(here, slope, best, bend))

    def _may_try(self, later: int) -> bool:
        """Whether passes are left; what one step leaves, the later ones have."""
        left = max(_PASSES * self.plan.planned, _FEWEST) - self.passes
        return left > _RESERVED * later

    def _try(self, length: float) -> Seen:
        self.line.go(length)
        return self._look()

    def _look(self) -> Seen:
        self.passes += 1
        return self.line.look()


def _first_length(here: float, slope: float, aim: float, bend: float) -> float:
    """Where here (1 + x + bend x^2), with x = s slope / here, is the aim."""
    more = aim / here - 1
    x = 2 * more / (1 + math.sqrt(1 + 4 * bend * more))
    return x * here / slope


def _bend(here: float, slope: float, end: Trial, otherwise: float) -> float:
    x = end.length * slope / here
    if x == 0:
        return otherwise
    return min(max((end.value / here - 1 - x) / x**2, 0.0), 1.0)


def _nearest(here: float, window: Window, trials: list[Trial]) -> Trial:
    """Of the trials that ended between here and the upper end the nearest to the aim."""
    good = [each for each in trials if here < each.value <= window.high]
    distance: Callable[[Trial], float] = lambda each: abs(each.value - window.aim)  # noqa: E731
    return min(reversed(good), key=distance, default=Trial(0.0, here))
