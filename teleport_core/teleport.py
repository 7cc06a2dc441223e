"""The one call most users need: check, prepare, advance, and look at the result off the clock."""

import math
from dataclasses import replace
from time import perf_counter
from typing import Any

from torch import nn

from teleport_core.ascent import halves
from teleport_core.distributed import ProcessGroup, across, group_of
from teleport_core.errors import ModelError, TeleportError
from teleport_core.forward.arguments import usable
from teleport_core.forward.undo import Undo
from teleport_core.interface import State, Teleporter
from teleport_core.objectives.goal import is_plain
from teleport_core.option_checks import require_choice
from teleport_core.problem import LossFn, Problem
from teleport_core.registry import make
from teleport_core.results import Engine, Guarantee, Seconds, Status, TeleportResult
from teleport_core.verification.guarantee import require_gradient, warn_of_change
from teleport_core.verification.last_kept import FULL, OFF, VERIFY, Call, end_of, last_kept
from teleport_core.verification.problem_checks import (
    check_by_running,
    check_problem,
    check_without_running,
    first_look,
    require_finite,
    require_pair,
    require_repeatable,
    same_loss,
)
from teleport_core.verification.reference import Look
from teleport_core.wall_clock import wall_clock


def teleport(
    model: nn.Module,
    loss_fn: LossFn,
    batch: tuple[Any, Any],
    *,
    method: str = "nullspace",
    verify: str = "full",
    process_group: ProcessGroup = None,
    **options: Any,
) -> TeleportResult:
    """Move ``model`` in place to a point of nearly equal loss and larger gradient.

    Args:
        model: any module; its ``nn.Parameter`` objects stay the same, an optimizer made before
            goes on working. Buffers, gradients, modes and the states of random generators end as
            they began, but for running statistics that have to move with the weights before them
            (``gauge``, batch norm in eval mode).
        loss_fn: ``loss_fn(model_output, targets)`` returns a scalar tensor; for ``cost``, and for
            it alone, one value per task, [tasks].
        batch: ``(inputs, targets)``; inputs are a tuple (positional), a mapping (keywords) or one
            argument: a tensor, or whatever holds some. Each pass gets a copy.
        method: one of ``available()``.
        verify: what the method is held to by passes of the model's own. "full": its loss, gradient
            and outputs before, loss and outputs after; "outputs": loss and outputs, no gradient;
            "off": nothing, ``loss[-1]`` and ``output_change`` are NaN, the guarantee is what the
            method says. docs/verification.md has what each of them finds.
        process_group: in a group of several processes, ``torch.distributed.group.WORLD`` or another
            group for a model that all of it hold, alike, inside DistributedDataParallel or not:
            each rank hands in its own samples and ends as one process would that had them all;
            or "local" for a model of this process's own. docs/across_ranks.md has the rest.
        **options: the method's options, for example ``steps=8, lr=0.01, cap=5.0, tau=1.0``;
            docs/objectives.md has what ``objective`` may be.

    Returns:
        What happened; ``loss[0]`` and ``loss[-1]`` come from real forward passes.

    Raises:
        OptionError, ProblemError, ModelError: the parameters are then bit for bit as before, as
            they are after an interrupt.
        RankError: another rank failed, ended, does not answer within the group's timeout or asked
            for something else; likewise on every rank that still runs.

    Warns:
        TeleportWarning: the outputs changed although the method promises that they do not: the
            steps that changed them were taken back, see ``Status.OUTPUTS_CHANGED``. With
            ``max_drift`` they stay, and the guarantee of the result is APPROXIMATE.
    """

    def read() -> tuple[Any, Teleporter, str]:
        teleporter = make(method, **options)
        of_call = require_choice("verify", verify, VERIFY)
        inputs, targets = map(usable, require_pair(batch))
        return (inputs, targets), teleporter, of_call

    group = group_of(process_group)
    if group is not None:
        return across(group, model, loss_fn, read, _alone)
    began = perf_counter()
    pair, teleporter, of_call = read()
    return _alone(Problem(model, loss_fn, *pair), teleporter, of_call, began)


def _alone(
    problem: Problem, teleporter: Teleporter, verify: str, began: float | None = None
) -> TeleportResult:
    """The call of a single process; it began when it was read, or begins now."""
    began = perf_counter() if began is None else began
    check_without_running(problem)
    by_task = teleporter.takes_task_losses
    problem = replace(problem, own=problem.parameters(), by_task=by_task)
    undo = Undo(problem)
    try:
        undo.own.set_gradients_aside()
        result = _moved(problem, teleporter, verify, undo)
        undo.settle()
        checks = perf_counter() - began - result.seconds.prepare - result.seconds.steps
        engine = result.engine if result.engine.name else Engine(teleporter.name, "it has no other")
        return replace(result, seconds=result.seconds._replace(checks=checks), engine=engine)
    except BaseException as error:
        undo.everything()
        if verify == OFF and isinstance(error, Exception) and not isinstance(error, TeleportError):
            check_problem(problem)  # nobody looked before: what is wrong with it has a name
        raise


def _moved(problem: Problem, teleporter: Teleporter, verify: str, undo: Undo) -> TeleportResult:
    """Everything between the first look and the last."""
    before = _before(problem, verify, undo)
    if verify == FULL and teleporter.stands_at_cap(before.grad_norm_sq):
        return _capped(teleporter, before)
    undo.own.give_unwritten(problem)
    now = wall_clock(next(iter(problem.parameters().values())).device)
    start = now()
    state = teleporter.prepare(problem)
    prepared = now() - start
    if verify == OFF and undo.generators.moved():
        check_by_running(problem, undo.generators)
    undo.state = state if isinstance(state, State) else State(before=problem.copy())
    problem.copies.clear()
    call = Call(problem, teleporter, state, undo.state, before, verify)
    start = now()
    result = teleporter.advance(problem, state)
    seconds = Seconds(prepared, now() - start, 0.0)
    return _held(call, replace(result, seconds=seconds))


def _before(problem: Problem, verify: str, undo: Undo) -> Look:
    """The first look, as far as one is asked for."""
    if verify == OFF:
        return Look(math.nan, math.nan, [])
    before = first_look(problem, undo.generators, gradient=verify == FULL)
    if verify == FULL:
        require_finite(problem, before.grad_norm_sq)
    return before


def _capped(teleporter: Teleporter, before: Look) -> TeleportResult:
    """Of a call that stood at the cap: nothing was asked of the method."""
    return TeleportResult(
        status=Status.CAPPED,
        steps_done=0,
        loss=[before.loss],
        grad_norm_sq=[before.grad_norm_sq],
        null_dims={},
        guarantee=Guarantee.EXACT_EVERYWHERE,
        seconds=Seconds(0.0, 0.0, 0.0),
        output_change=0.0,
        engine=Engine("none", "the model stood at its cap already"),
        objective=_objective(teleporter, [math.nan], [before.grad_norm_sq]),
    )


def _objective(teleporter: Teleporter, known: list[float], norms: list[float]) -> list[float]:
    """At every point: by the norms that are known now where they tell, else as the method says."""
    plain = is_plain(teleporter.objective, teleporter.direction)
    return halves(norms) if plain else [*known, *[math.nan] * (len(norms) - len(known))]


def _held(call: Call, result: TeleportResult) -> TeleportResult:
    """Hold the result to the model: both ends of its lists, its gradient and its guarantee."""
    if call.verify == FULL:
        _require_gradient(call, result)
    end = refused = end_of(call, result)
    repeated = same_loss(call.problem, result.loss[0], call.before.loss)
    if not repeated and call.verify != OFF and math.isfinite(end.seen.loss):
        # The method's own pass gave something else, or was none: one more of the model's tells.
        require_repeatable(call.problem, end.seen.loss)
    if refused.refused and result.steps_done:
        end, refused = last_kept(call, refused)
    if end.guarantee is not end.result.guarantee or refused.refused is Status.OUTPUTS_CHANGED:
        outcome = "the result is marked APPROXIMATE"
        if refused is not end:
            kept = f"{end.result.steps_done} of {result.steps_done}"
            outcome = f"that step was taken back, {kept} are kept"
        warn_of_change(call.problem, refused.change, refused.movement, outcome)
    loss, norms = [*end.result.loss], [*end.result.grad_norm_sq]
    loss[-1], norms[-1] = end.seen.loss, end.seen.grad_norm_sq
    loss[0] = result.loss[0] if call.verify == OFF else call.before.loss
    return replace(
        end.result,
        seconds=result.seconds,
        loss=loss,
        grad_norm_sq=norms,
        guarantee=end.guarantee,
        output_change=end.change,
        objective=_objective(call.teleporter, end.result.objective, norms),
    )


def _require_gradient(call: Call, result: TeleportResult) -> None:
    try:
        require_gradient(call.problem, call.before, result.grad_norm_sq[0])
    except ModelError:
        call.state.restore(call.problem)
        require_repeatable(call.problem, call.before.loss)
        raise
