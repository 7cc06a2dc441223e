"""A last step that would pass CAP, cut to end just below it."""

import torch

from teleport_core.nullspace.cap.evaluate import Allowed, visit
from teleport_core.problem import Parameters, Problem
from teleport_core.results import Status

# The squared gradient norm at the end is between this share of CAP and CAP.
CLOSE = 0.999
# ||g||^2 may jump where a unit switches; then halving ends at the jump.
_HALVINGS = 60


def shorten(
    problem: Problem, before: Parameters, after: Parameters, cap: float, allowed: Allowed
) -> tuple[float, Parameters]:
    """Where on the straight line from ``before`` to ``after`` ||g||^2 comes close to ``cap``.

    ||g||^2 is below ``cap`` at ``before`` and above it at ``after``; each has every parameter by
    name. The model is not written to. Only losses that are ``allowed`` may be reached.

    Returns:
        The share of the way, and the point there: ||g||^2 <= cap, and >= 0.999 cap unless the norm
        jumps or other losses lie between; share 0 where no point but ``before`` itself will do.
    """
    low, high, best = 0.0, 1.0, before
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        point = {name: torch.lerp(value, after[name], middle) for name, value in before.items()}
        seen = visit(problem, point, allowed)
        if isinstance(seen, Status) or seen.grad_norm_sq > cap:
            high = middle
            continue
        low, best = middle, point
        if seen.grad_norm_sq >= CLOSE * cap:
            break
    return low, best
