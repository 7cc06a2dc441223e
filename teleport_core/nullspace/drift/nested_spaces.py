"""The free spaces of all thresholds of a grid: nested, so that one SVD per layer gives them all."""

from dataclasses import dataclass

from teleport_core.interface import State
from teleport_core.layers import Layer, find_layers
from teleport_core.nullspace.textbook import TextbookState
from teleport_core.phases import BASIS, CAPTURE
from teleport_core.problem import Problem
from teleport_core.projection import nested_bases

# From the exact null space, which is at numerical rank, to half of the energy.
TAUS = (1.0, 0.9999, 0.999, 0.99, 0.95, 0.9, 0.8, 0.5)


@dataclass
class DriftState(State):
    """The layers of one batch with the spaces of each tau, tightest first, no two the same."""

    levels: dict[float, TextbookState]

    @property
    def layers(self) -> list[Layer]:
        """What may move."""
        return self.tightest.layers

    @property
    def held(self) -> dict[str, str]:
        """What stays -> why."""
        return self.tightest.held

    @property
    def tightest(self) -> TextbookState:
        """The exact null space."""
        return next(iter(self.levels.values()))

    def level(self, tau: float) -> TextbookState:
        """The spaces of a tau that a step moved in."""
        return self.levels.get(tau, self.tightest)

    def something_free(self) -> bool:
        """Whether any tau leaves any layer a free direction, used or not."""
        return any(level.something_free() for level in self.levels.values())


def prepare(problem: Problem, limit: int) -> DriftState:
    """One SVD per layer; ``limit`` columns of its inputs are held at a time."""
    with CAPTURE:
        found = find_layers(problem)
    cuts = [("numerical" if tau == 1.0 else "energy", tau) for tau in TAUS]
    with BASIS:
        bases = [nested_bases(layer.columns(limit), cuts, limit=limit) for layer in found.layers]
    found.seen.drop_graph()
    levels: dict[float, TextbookState] = {}
    ranks: set[tuple[int, ...]] = set()
    for i, tau in enumerate(TAUS):
        chosen = [each[i] for each in bases]
        free = tuple(basis.free for basis in chosen)
        if free not in ranks:
            ranks.add(free)
            levels[tau] = TextbookState(found.layers, chosen, found.held, found.seen.fused)
    return DriftState(levels)
