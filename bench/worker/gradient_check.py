"""No time of a method that climbs another gradient than the model's own."""

from math import nan

from bench.timing.rounds import Entrant
from bench.worker.failures import Emit, fail
from teleport_core import Problem
from teleport_core.errors import ModelError
from teleport_core.verification.guarantee import require_gradient
from teleport_core.verification.reference import Look, look


def look_at_start(problem: Problem, entrants: list[Entrant], emit: Emit) -> Look | None:
    """The model's own gradient before anything moved; where it has none no method is timed."""
    try:
        return look(problem)
    except Exception as error:
        for entrant in [each for each in entrants if not each.held]:
            fail(entrant.cell_id, error, emit)
            entrants.remove(entrant)
        return None


def misread(entrant: Entrant, problem: Problem, seen: Look | None) -> str:
    """What is wrong with the gradient of an entrant's first call; nothing once it was right."""
    if entrant.held or seen is None:
        return ""
    try:
        require_gradient(problem, seen, entrant.facts.get("grad_norm_sq", nan))
    except ModelError as error:
        return str(error)
    entrant.held = True
    return ""
