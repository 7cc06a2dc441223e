"""Steps as long as it takes for ||g||^2 to grow by a given factor.

A step goes along its direction U from where it begins, W + s U. Where the forward pass is frozen
||g||^2 is a polynomial in s, with the slope 2 ||U||^2 at s = 0; a trial costs one backward pass,
and the last one of a step is the first pass of the next step.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from teleport_core.ascent import Ascent
from teleport_core.interface import Status
from teleport_core.nullspace.polynomial import Trial, next_length

# ||g||^2 ends this close to what was asked for, as a share; a step on the way so close.
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


class Line(Protocol):
    """The weights of a model, and the direction of the step that is being taken."""

    def look(self) -> float:
        """||g||^2 at the present weights."""

    def aim(self, *, first: bool) -> float | None:
        """Begin a step where ``look`` looked last; ||U||^2, None where the first is rounding."""

    def go(self, length: float) -> None:
        """Put the weights ``length`` along U from where the step began; 0 is there bit for bit."""


class Plan(NamedTuple):
    """What is asked for.

    Attributes:
        growth: ||g||^2 at the end, in units of that at the start.
        planned: steps that lead there, each the same factor.
        cap: ||g||^2 never passes it.
    """

    growth: float
    planned: int
    cap: float


class Window(NamedTuple):
    """Where a step may end, and where it should."""

    low: float
    aim: float
    high: float


class _Step(NamedTuple):
    length: float
    norm_sq: float
    bend: float


@dataclass
class Climber:
    """Takes steps along a line; ``passes`` counts backward passes."""

    line: Line
    plan: Plan
    passes: int = 0

    def climb(self, steps: int, loss: float) -> Ascent:
        """The first ``steps`` of the planned steps, the same ones however many are asked for.

        ``loss`` is that of the start, the only one that is known.
        """
        norms, lrs, bend = [self._look()], list[float](), _BEND
        status = self._at_start(norms[0])
        steps = min(steps, self.plan.planned)
        while status is None and len(lrs) < steps:
            slope_from = self.line.aim(first=not lrs)
            if slope_from is None:
                status = Status.GROWTH_NOT_REACHED if lrs else Status.NO_ASCENT_DIRECTION
                break
            window = self._window(norms[0], len(lrs))
            step = self._step(
                norms[-1], 2 * slope_from, window, bend, later=self.plan.planned - len(lrs) - 1
            )
            if step.length:
                lrs.append(step.length)
                norms.append(step.norm_sq)
                bend = step.bend
            status = self._after(norms[0], step, window, len(lrs))
        if not math.isfinite(norms[0]):
            return Ascent(Status.NON_FINITE, 0, None, None, [loss], [norms[0]])
        losses = [loss, *[math.nan] * len(lrs)]
        return Ascent(status or Status.DONE, len(lrs), None, None, losses, norms, lrs=lrs)

    def _at_start(self, norm_sq: float) -> Status | None:
        if not math.isfinite(norm_sq):
            return Status.NON_FINITE
        return Status.CAPPED if norm_sq >= self.plan.cap else None

    def _window(self, start: float, step: int) -> Window:
        growth, planned, cap = self.plan
        close = _AT_THE_END if step == planned - 1 else _ON_THE_WAY
        aim = start * growth ** ((step + 1) / planned)
        if aim > cap:
            return Window((1 - _AT_THE_END) * cap, (1 - _AT_THE_END / 2) * cap, cap)
        return Window((1 - close) * aim, aim, min((1 + close) * aim, cap))

    def _after(self, start: float, step: _Step, window: Window, taken: int) -> Status | None:
        """How the climb ends after a step; None where it goes on."""
        growth, planned, cap = self.plan
        met = abs(step.norm_sq / window.aim - 1) <= _MISSED
        if not step.length or (taken == planned and not met):
            return Status.GROWTH_NOT_REACHED
        # The step that the cap cut short is the last one.
        cut = start * growth ** (taken / planned) > cap
        if not cut:
            return None
        return Status.CAPPED if met else Status.GROWTH_NOT_REACHED

    def _step(self, here: float, slope: float, window: Window, bend: float, *, later: int) -> _Step:
        """Go to where ||g||^2 is in the window, or as near to it as trials find.

        ``later`` steps are to come.
        """
        if not (slope > 0 and math.isfinite(slope) and math.isfinite(window.high)):
            return _Step(0.0, here, bend)
        trials: list[Trial] = []
        length = _first_length(here, slope, window.aim, bend)
        while True:
            trials.append(self._try(length))
            if window.low <= trials[-1].norm_sq <= window.high or not self._may_try(later):
                break
            length = next_length(here, slope, window, trials)
        best = _nearest(here, window, trials)
        if best is not trials[-1]:
            self.line.go(best.length)
            if best.length and later:
                self._look()
        return _Step(best.length, best.norm_sq, _bend(here, slope, best, bend))

    def _may_try(self, later: int) -> bool:
        """Whether passes are left; what one step leaves, the later ones have."""
        left = max(_PASSES * self.plan.planned, _FEWEST) - self.passes
        return left > _RESERVED * later

    def _try(self, length: float) -> Trial:
        self.line.go(length)
        return Trial(length, self._look())

    def _look(self) -> float:
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
    return min(max((end.norm_sq / here - 1 - x) / x**2, 0.0), 1.0)


def _nearest(here: float, window: Window, trials: list[Trial]) -> Trial:
    """Of the trials that ended between here and the upper end the nearest to the aim."""
    good = [each for each in trials if here < each.norm_sq <= window.high]
    distance: Callable[[Trial], float] = lambda each: abs(each.norm_sq - window.aim)  # noqa: E731
    return min(reversed(good), key=distance, default=Trial(0.0, here))
