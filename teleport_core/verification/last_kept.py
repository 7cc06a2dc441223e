"""Where a call ends: at the last of its points that is finite and keeps what was promised."""

import math
from dataclasses import replace
from typing import Any, NamedTuple

from teleport_core.interface import State, Teleporter
from teleport_core.problem import Problem
from teleport_core.results import Guarantee, Status, TeleportResult
from teleport_core.verification.guarantee import movement, rounding, verified_guarantee
from teleport_core.verification.problem_checks import require_repeatable
from teleport_core.verification.reference import Look, look, output_change

FULL, OUTPUTS, OFF = "full", "outputs", "off"
VERIFY = (FULL, OUTPUTS, OFF)


class Call(NamedTuple):
    """What does not change while the points of one call are looked at.

    Attributes:
        prepared: what the method found out about the batch.
        state: the same where it is a State; else one that holds all parameters.
        before: the model at the start.
        verify: how closely it is looked at, one of ``VERIFY``.
    """

    problem: Problem
    teleporter: Teleporter
    prepared: Any
    state: State
    before: Look
    verify: str


class End(NamedTuple):
    """A point of a call, as the model's own outputs show it.

    Attributes:
        result: what the method says of the steps that lead there.
        seen: loss and outputs of the model's own, ||g||^2 of the method's where it knows it.
        guarantee: what is left of its guarantee.
        change: of the outputs, ``output_change``; NaN where nobody looked.
        movement: ||W' - W|| / ||W||, of all weights the largest; NaN where nothing is taken back
            of the guarantee.
        refused: why a call may not end there; None where it may.
    """

    result: TeleportResult
    seen: Look
    guarantee: Guarantee
    change: float
    movement: float
    refused: Status | None


def end_of(call: Call, result: TeleportResult) -> End:
    """Look at the model where it is now."""
    problem, teleporter, _, state, before, verify = call
    guarantee, change, refused = result.guarantee, math.nan, None
    # What a kept pass knows comes first: a loss that writes its targets spoils the pass.
    norm_sq = _known_norm_sq(call, result)
    seen = Look(math.nan, math.nan, [])
    if verify != OFF:
        seen = look(problem, gradient=False)
        change = output_change(before, seen)
    if verify == FULL and (norm_sq is None or (result.steps_done and change > rounding(problem))):
        norm_sq = look(problem).grad_norm_sq
    known = [seen.loss] * (verify != OFF) + ([] if norm_sq is None else [norm_sq])
    if not all(map(math.isfinite, known)):
        refused = Status.NON_FINITE
    elif verify != OFF:
        guarantee = verified_guarantee(problem, state, change, guarantee)
        # A method that chooses its thresholds was told what may change.
        if guarantee is not result.guarantee and not teleporter.chooses_threshold:
            refused = Status.OUTPUTS_CHANGED
    moved = math.nan if guarantee is result.guarantee else movement(problem, state)
    seen = seen._replace(grad_norm_sq=math.nan if norm_sq is None else norm_sq)
    return End(result, seen, guarantee, change, moved, refused)


def _known_norm_sq(call: Call, result: TeleportResult) -> float | None:
    """||g||^2 at the end without a pass of the model's own; None where nobody knows it."""
    if result.steps_done == 0 and call.verify == FULL:
        return call.before.grad_norm_sq
    last = result.grad_norm_sq[-1]
    return call.state.grad_norm_sq(call.problem) if math.isnan(last) else last


def last_kept(call: Call, end: End) -> tuple[End, End]:
    """Go back from ``end`` to the last point at which the call may end; the start is one.

    The steps in between are halved, so that log2 of them are taken again: errors grow from step
    to step. Second comes the point after it, as it was refused; the status says why.
    """
    call.state.restore(call.problem)
    if call.verify != OFF:
        require_repeatable(call.problem, call.before.loss)
    low, last = 0, end.result.steps_done
    good, refused = _start(end.result), end
    while refused.result.steps_done - low > 1:
        last = (low + refused.result.steps_done) // 2
        tried = end_of(call, _replayed(call, last))
        if tried.refused is None:
            low, good = last, tried.result
        else:
            refused = tried
    if not low:
        call.state.restore(call.problem)
    elif last != low:
        good = _replayed(call, low)
    assert refused.refused is not None
    return end_of(call, replace(good, status=refused.refused)), refused


def _replayed(call: Call, steps: int) -> TeleportResult:
    """The first ``steps`` steps, taken again from the start: the same to the last bit."""
    call.state.restore(call.problem)
    return replace(call.teleporter, steps=steps).advance(call.problem, call.prepared)


def _start(result: TeleportResult) -> TeleportResult:
    loss, norms = result.loss[:1], result.grad_norm_sq[:1]
    start = replace(result, steps_done=0, loss=loss, grad_norm_sq=norms)
    start = replace(start, taus=[], lengths=[], lrs=[], objective=result.objective[:1])
    return replace(start, task_losses=result.task_losses[:1])
