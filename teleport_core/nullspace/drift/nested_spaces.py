"""The free spaces of all thresholds of a grid: nested, so that one SVD per layer gives them all."""

from teleport_core.layers import find_layers
from teleport_core.nullspace.textbook import TextbookState
from teleport_core.phases import BASIS, CAPTURE
from teleport_core.problem import Problem
from teleport_core.projection import nested_bases

# From the exact null space, which is at numerical rank, to half of the energy.
TAUS = (1.0, 0.9999, 0.999, 0.99, 0.95, 0.9, 0.8, 0.5)


def nested_spaces(problem: Problem, limit: int) -> dict[float, TextbookState]:
    """The spaces of each tau, tightest first, no two the same.

    One SVD per layer; ``limit`` columns of its inputs are held at a time.
    """
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
            levels[tau] = TextbookState(found.layers, chosen, found.seen.fused, held=found.held)
    return levels
