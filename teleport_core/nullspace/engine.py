"""What a way of computing steps looks like to the method: asked, it prepares a batch and climbs.

An engine is a module with a function ``prepare``. The method asks one after the other, and the
first that applies answers with what it found out about the batch; that is what climbs. The others
say why they do not.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple, Protocol

from teleport_core.ascent import Ascent
from teleport_core.interface import State
from teleport_core.nullspace.bases.kept import FRESH, Source
from teleport_core.nullspace.cap.overshoot import stop_at_cap
from teleport_core.nullspace.growth import Plan
from teleport_core.nullspace.lr_steps import LrSteps
from teleport_core.objectives.goal import Goal
from teleport_core.problem import Problem
from teleport_core.results import Engine as Ran


class Climb(NamedTuple):
    """What is asked of an engine.

    Attributes:
        growth: in place of lr, what the objective is to be multiplied by in the steps of
            ``prepare``, or divided by on the way down.
        steps: at most so many.
        cap: no step is taken once ||g||^2 has reached it.
        rule: the rank rule of the free spaces.
        tau: its threshold; 1 is exact.
        max_drift: instead of both, how far the loss may drift.
        published: the published double backward is asked for.
        limit: columns of a layer's input that are laid out in float64 at a time.
        bases: where those of the layers' inputs come from.
        goal: the objective, bound to the problem; None for 1/2 ||g||^2.
    """

    lr: float = 0.01
    growth: float | None = None
    steps: int = 8
    cap: float = inf
    rule: str = "numerical"
    tau: float = 1.0
    max_drift: float | None = None
    published: bool = False
    limit: int = 4096
    bases: Source = FRESH
    goal: Goal | None = None

    def route(self) -> Plan | LrSteps | None:
        """How steps along a line are chosen; None for the published ones, of a given lr."""
        if self.growth is not None:
            return Plan(self.growth, self.steps, self.cap, self.goal)
        return None if self.goal is None else LrSteps(self.lr, self.cap, self.goal)


@dataclass(frozen=True)
class Declined:
    """An engine does not apply."""

    why: str


@dataclass
class EngineState(State, ABC):
    """What an engine found out about one batch, and how it climbs there.

    Attributes:
        layers: of the model; empty where no weight can move.
        held: parameters that count in the gradient and stay -> why.
        engine: which it is, and why it applies.
        route: how it takes steps of any length; None where it takes the published ones.
    """

    layers: Sequence[object]
    held: dict[str, str] = field(default_factory=dict, kw_only=True)
    engine: Ran = field(default=Ran("", ""), kw_only=True)
    route: Plan | LrSteps | None = field(default=None, kw_only=True)

    @property
    def goal(self) -> Goal | None:
        """What it climbs; None for 1/2 ||g||^2."""
        return None if self.route is None else self.route.goal

    @abstractmethod
    def freedoms(self) -> Iterator[tuple[str, bool, int]]:
        """(weight, fed by data alone, free dimensions) of every layer that may move."""

    def something_moves(self) -> bool:
        """Whether any layer can move uphill, as far as is known before the first step."""
        return True

    def something_free(self) -> bool:
        """Whether any layer has a free direction, used or not."""
        return any(free for _, _, free in self.freedoms())

    @abstractmethod
    def advance(self, problem: Problem, climb: Climb) -> Ascent:
        """Take all steps and write the parameters; after an exception they are as before.

        It is asked for only where something moves. Parameters and the point before the last step
        need not be in what is returned.
        """

    def advance_to_cap(self, problem: Problem, climb: Climb) -> Ascent:
        """The same, its last step shortened where it would pass the cap."""
        climbed = lambda: self.advance(problem, climb)  # noqa: E731
        return stop_at_cap(problem, self, climb.cap, climbed, self.goal)


class Engine(Protocol):
    """One way of computing steps."""

    def prepare(self, problem: Problem, climb: Climb) -> EngineState | Declined:
        """Do what is done once per batch, or say why the engine does not apply.

        Asking and preparing are one, as both read the model.
        """
