"""The learning rate at which a method multiplies ||g||^2 as asked, so that methods compare."""

from collections.abc import Sequence

from bench.preservation.starting_point import Subject, advance, at_threshold
from teleport_core import Teleporter
from teleport_core.verification.reference import look

# The search brackets by factors of 4 over 1e-14 ... 1e+14 and then bisects to 2 %.
_FIRST_LR = 1e-2
_BRACKET = 4.0
_BRACKET_TRIES = 20
_BISECTIONS = 6
_STUCK = ("NO_NULL_SPACE", "NO_ASCENT_DIRECTION")


def find_lr(
    where: Subject, method: Teleporter, steps: int, growth: float, taus: Sequence[float] = (1.0,)
) -> float:
    """The learning rate at which ``steps`` steps multiply ||g||^2 by ``growth``, or just less.

    Methods and thresholds are then compared at the same gain: that of the largest tau at which
    anything moves. What bounds the drift or the norm is left out of the search.
    """
    plain = method.unbounded()
    for tau in sorted(taus, reverse=True):
        method = at_threshold(plain, tau)
        if advance(where, method, 1, lr=_FIRST_LR).status.name not in _STUCK:
            break
    return _search_lr(where, method, steps, growth)


def _search_lr(where: Subject, method: Teleporter, steps: int, growth: float) -> float:
    where.reset()
    wanted = growth * look(where.problem).grad_norm_sq

    def overshoots(lr: float) -> bool:
        result = advance(where, method, steps, lr=lr, cap=wanted)
        if result.steps_done < steps:
            return result.status.name in ("NON_FINITE", "CAPPED")
        # NaN counts as too much.
        return not look(where.problem).grad_norm_sq <= wanted

    too_high = overshoots(_FIRST_LR)
    factor = 1 / _BRACKET if too_high else _BRACKET
    low = high = _FIRST_LR
    for _ in range(_BRACKET_TRIES):
        if too_high:
            low, high = low * factor, low
        else:
            low, high = high, high * factor
        if overshoots(low if too_high else high) != too_high:
            break
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if overshoots(middle) else (middle, high)
    return low
