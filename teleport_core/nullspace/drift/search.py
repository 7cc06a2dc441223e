"""As far up as a given change of the loss allows: the subspace is chosen step by step.

The spaces that the thresholds of ``TAUS`` leave free are nested, so one SVD per layer serves them
all. A run under a *ceiling* takes at every step the loosest space up to its ceiling in which the
loss, by a real forward pass, stays within |L - L0| <= max_drift |L0|; where none does it halves
the step in the tightest space. While its ceiling is good enough it is the published ascent at that
tau. Runs under all ceilings advance together and share every point that they have in common. The
point with the largest ||g||^2 wins: at least what any tau of ``TAUS`` reaches before it drifts.

One run under the loosest ceiling does not replace the search, nor does one whose allowance grows
in proportion to the steps: early steps in loose spaces spend what later, larger ones need. Of 60
random runs over the models of ``tests/zoo.py`` 18 and 9 of theirs stayed below 0.9 of that.

A point costs a double backward, a forward and a backward pass; a space that is refused there costs
a projection and a forward pass. There are at most ``len(TAUS)`` points a step.
"""

import math
from dataclasses import dataclass, replace

import torch

from teleport_core.layers.differentiable_twice import twice_differentiable
from teleport_core.nullspace.cap.evaluate import Allowed, Visited, visit, within
from teleport_core.nullspace.cap.shorten import shorten
from teleport_core.nullspace.engine import Climb
from teleport_core.nullspace.textbook import TextbookState, free_part, moving_names
from teleport_core.objectives.gradient import gradient_at, objective_gradient
from teleport_core.phases import UPDATE
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Status
from teleport_core.verification.derivatives import (
    derivatives_needed,
    require_differentiable,
    require_numbers,
)

# A step shorter than 2^-10 of the one asked for is not worth a double backward.
_HALVINGS = 10
# Norms that differ by less than this many eps are equal: a longer path to it is as good.
_ROUNDING_EPS = 64


# The spaces of each tau, tightest first.
Levels = dict[float, TextbookState]


@dataclass(frozen=True)
class Place:
    """A visited point, within the allowed drift.

    Attributes:
        previous: the point before it; None at the start.
        loss: of every point on the way, this one included.
        grad_norm_sq: likewise.
        taus: of the steps on the way.
        lengths: their shares of the whole step.
    """

    parameters: Parameters
    previous: Parameters | None
    loss: tuple[float, ...]
    grad_norm_sq: tuple[float, ...]
    taus: tuple[float, ...] = ()
    lengths: tuple[float, ...] = ()

    @property
    def steps(self) -> int:
        """Taken so far."""
        return len(self.taus)


@dataclass(frozen=True)
class Found:
    """The best place, and why the ascent ended there."""

    place: Place
    status: Status


def highest(problem: Problem, levels: Levels, climb: Climb, max_drift: float) -> Found:
    """The search; nothing is written to the model. No step is taken once ||g||^2 reached the cap.

    Memory: the parameters of up to ``2 len(TAUS)`` points.
    """
    start = problem.copy()
    seen = visit(problem, start)
    if isinstance(seen, Status):
        nan = (math.nan,)
        return Found(Place(start, None, nan, nan), seen)
    search = _Search(problem, levels, climb, within(seen.loss, max_drift))
    return search.run(Place(start, None, (seen.loss,), (seen.grad_norm_sq,)))


def below_cap(problem: Problem, found: Found, cap: float, max_drift: float) -> Found:
    """The same with its last step shortened if it passed ``cap``; the drift stays within bounds."""
    place = found.place
    if place.previous is None or place.grad_norm_sq[-1] <= cap:
        return found
    allowed = within(place.loss[0], max_drift)
    share, there = shorten(problem, place.previous, place.parameters, cap, allowed)
    seen = visit(problem, there)
    assert isinstance(seen, Visited)
    losses, norms = (*place.loss[:-1], seen.loss), (*place.grad_norm_sq[:-1], seen.grad_norm_sq)
    lengths = (*place.lengths[:-1], place.lengths[-1] * share)
    shorter = replace(place, parameters=there, loss=losses, grad_norm_sq=norms, lengths=lengths)
    return Found(shorter, Status.CAPPED)


# Which level, and which share of the whole step.
Move = tuple[int, float]
# A place, and the ceilings of the runs that are there.
Branch = tuple[Place, list[int]]


class _Search:
    """Runs under all ceilings, step by step together."""

    def __init__(self, problem: Problem, levels: Levels, climb: Climb, allowed: Allowed) -> None:
        self._problem = problem
        self._levels = list(levels.items())
        self._climb, self._allowed = climb, allowed

    def run(self, start: Place) -> Found:
        """The best place within the steps that may be taken."""
        steps, cap = self._climb.steps, self._climb.cap
        best, why = start, Status.DRIFTED
        front = [(start, list(range(len(self._levels))))]
        for _ in range(steps):
            if best.grad_norm_sq[-1] >= cap:
                return Found(best, Status.CAPPED)
            grown: list[Branch] = []
            for place, ceilings in front:
                branches, stopped = self._onward(place, ceilings)
                grown += branches
                if place is best and stopped is not None:
                    why = stopped
            if not grown:
                break
            front = grown
            top = self._best_of([place for place, _ in front])
            if _as_high(top, best):
                best, why = top, Status.DRIFTED
        return Found(best, Status.DONE if best.steps == steps else why)

    def _best_of(self, places: list[Place]) -> Place:
        """The largest ||g||^2; of those that reached the cap the smallest change of the loss."""
        capped = [place for place in places if place.grad_norm_sq[-1] >= self._climb.cap]
        if capped:
            return min(capped, key=lambda place: abs(place.loss[-1] - place.loss[0]))
        return max(places, key=lambda place: place.grad_norm_sq[-1])

    def _onward(self, place: Place, ceilings: list[int]) -> tuple[list[Branch], Status | None]:
        """The next places with the ceilings that lead there; why a ceiling led nowhere."""
        full = self._objective_gradient(place)
        tried: dict[Move, Place | Status] = {}
        branches: dict[Move, Branch] = {}
        stopped = None
        for ceiling in ceilings:
            found = self._first(place, full, ceiling, tried)
            if isinstance(found, Status):
                stopped = found
                continue
            there = tried[found]
            assert isinstance(there, Place)
            branches.setdefault(found, (there, []))[1].append(ceiling)
        return list(branches.values()), stopped

    def _first(
        self, place: Place, full: Parameters, ceiling: int, tried: dict[Move, Place | Status]
    ) -> Move | Status:
        """The loosest whole step up to a ceiling that is allowed, else the longest of the rest."""
        last = Status.NO_ASCENT_DIRECTION
        tightest = None
        for level in range(ceiling, -1, -1):
            found = self._try(place, full, (level, 1.0), tried)
            if isinstance(found, Place):
                return level, 1.0
            if found is not Status.NO_ASCENT_DIRECTION:
                last, tightest = found, level
        if tightest is None:
            return last
        for halvings in range(1, _HALVINGS + 1):
            move = (tightest, 0.5**halvings)
            found = self._try(place, full, move, tried)
            if isinstance(found, Place):
                return move
            last = found
        return last

    def _try(
        self, place: Place, full: Parameters, move: Move, tried: dict[Move, Place | Status]
    ) -> Place | Status:
        """Where a move leads, or why it must not be taken."""
        if move not in tried:
            tried[move] = self._move(place, full, move)
        return tried[move]

    def _move(self, place: Place, full: Parameters, move: Move) -> Place | Status:
        tau, level = self._levels[move[0]]
        updates = free_part(level.layers, level.bases, full)
        if not updates:
            return Status.NO_ASCENT_DIRECTION
        scale = self._climb.lr * move[1]
        with UPDATE:
            parameters = place.parameters | {
                name: place.parameters[name] + scale * update for name, update in updates.items()
            }
        seen = visit(self._problem, parameters, self._allowed)
        if isinstance(seen, Status):
            return seen
        return Place(
            parameters,
            place.parameters,
            (*place.loss, seen.loss),
            (*place.grad_norm_sq, seen.grad_norm_sq),
            (*place.taus, tau),
            (*place.lengths, move[1]),
        )

    def _objective_gradient(self, place: Place) -> Parameters:
        """H g of everything that may move."""
        state = self._levels[0][1]
        counted = self._problem.counted()
        with torch.enable_grad(), twice_differentiable(fused=state.fused):
            leaves = self._problem.leaves(place.parameters)
            with derivatives_needed(self._problem):
                _, gradient = gradient_at(self._problem, leaves, counted, differentiable=True)
                full = objective_gradient(leaves, gradient, moving_names(state.layers))
            if not place.steps:
                require_differentiable(self._problem, gradient.values())
                require_numbers(
                    full.items(), "use engine='auto' at tau=1, which needs fewer of them"
                )
        return full


def _as_high(place: Place, best: Place) -> bool:
    """Whether ||g||^2 is at least that of ``best``, up to rounding."""
    eps = max(torch.finfo(p.dtype).eps for p in place.parameters.values())
    return place.grad_norm_sq[-1] >= (1.0 - _ROUNDING_EPS * eps) * best.grad_norm_sq[-1]
