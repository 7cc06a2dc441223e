"""Steps in the largest spaces that keep the loss within ``max_drift``."""

from collections.abc import Iterator
from dataclasses import dataclass

from teleport_core.ascent import Ascent
from teleport_core.nullspace.drift.nested_spaces import nested_spaces
from teleport_core.nullspace.drift.search import Found, Levels, below_cap, highest
from teleport_core.nullspace.engine import Climb, Declined, EngineState
from teleport_core.nullspace.textbook import TextbookState
from teleport_core.problem import Problem
from teleport_core.results import Engine


@dataclass
class DriftState(EngineState):
    """The layers of one batch with the spaces of each tau, tightest first, no two the same.

    ``loosest`` is the tau of the loosest one that a step moved in; it holds those of the others.
    """

    levels: Levels
    max_drift: float
    loosest: float = 1.0

    @property
    def tightest(self) -> TextbookState:
        """The exact null space."""
        return next(iter(self.levels.values()))

    def freedoms(self) -> Iterator[tuple[str, bool, int]]:
        """Those of the loosest space in use, before any step of the exact null space."""
        return self.levels.get(self.loosest, self.tightest).freedoms()

    def something_free(self) -> bool:
        """Whether any tau leaves any layer a free direction, used or not."""
        return any(level.something_free() for level in self.levels.values())

    def advance(self, problem: Problem, climb: Climb) -> Ascent:
        """The steps that max_drift allows."""
        return self._taken(problem, highest(problem, self.levels, climb, self.max_drift))

    def advance_to_cap(self, problem: Problem, climb: Climb) -> Ascent:
        """The same; what shortens the last step keeps the loss within bounds as well."""
        found = highest(problem, self.levels, climb, self.max_drift)
        return self._taken(problem, below_cap(problem, found, climb.cap, self.max_drift))

    def _taken(self, problem: Problem, found: Found) -> Ascent:
        place = found.place
        if place.previous is not None:
            self.write(problem, self.tightest.moved(place.parameters))
            self.previous = self.tightest.moved(place.previous)
        self.loosest = min(place.taus, default=1.0)
        whole = all(length == 1.0 for length in place.lengths)
        lists = ([*place.loss], [*place.grad_norm_sq], [*place.taus])
        lengths = [] if whole else [*place.lengths]
        return Ascent(found.status, place.steps, None, None, *lists, lengths)


def prepare(problem: Problem, climb: Climb) -> DriftState | Declined:
    """The spaces of every tau of the grid, for ``max_drift``."""
    if climb.max_drift is None:
        return Declined("max_drift was not asked for")
    levels = nested_spaces(problem, climb.limit)
    tightest = next(iter(levels.values()))
    ran = Engine("textbook", "max_drift chooses the space of each step")
    return DriftState(tightest.layers, levels, climb.max_drift, held=tightest.held, engine=ran)
