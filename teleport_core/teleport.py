"""The one call most users need: check, prepare, advance, and look at the result off the clock."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from teleport_core.errors import ProblemError
from teleport_core.forward.arguments import tensors_of
from teleport_core.forward.belongings import Belongings
from teleport_core.interface import Seconds, State, Status, TeleportResult
from teleport_core.problem import LossFn, Problem
from teleport_core.registry import make
from teleport_core.verification.guarantee import require_gradient, warn_of_change
from teleport_core.verification.last_kept import Call, end_of, last_kept
from teleport_core.verification.problem_checks import (
    check_by_running,
    check_without_running,
    require_finite,
)
from teleport_core.verification.randomness import generators_of
from teleport_core.verification.reference import look
from teleport_core.wall_clock import wall_clock


def teleport(
    model: nn.Module,
    loss_fn: LossFn,
    batch: tuple[Any, Any],
    *,
    method: str = "nullspace",
    **options: Any,
) -> TeleportResult:
    """Move ``model`` in place to a point of nearly equal loss and larger gradient.

    Args:
        model: any module; its ``nn.Parameter`` objects stay the same, an optimizer made before
            goes on working. Buffers, gradients, modes and the states of random generators end as
            they began.
        loss_fn: ``loss_fn(model_output, targets)`` returns a scalar tensor.
        batch: ``(inputs, targets)``; inputs are a tuple (positional), a mapping (keywords) or one
            argument: a tensor, or whatever holds some. Each pass gets a copy.
        method: one of ``available()``.
        **options: the method's options, for example ``steps=8, lr=0.01, cap=5.0, tau=1.0``.

    Returns:
        What happened; ``loss[0]`` and ``loss[-1]`` come from real forward passes off the clock.

    Raises:
        OptionError, ProblemError, ModelError: the parameters are then bit for bit as before, as
            they are after an interrupt.

    Warns:
        TeleportWarning: the outputs changed although the method promises that they do not: the
            steps that changed them were taken back, see ``Status.OUTPUTS_CHANGED``. With
            ``max_drift`` they stay, and the guarantee of the result is APPROXIMATE.
    """
    teleporter = make(method, **options)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ProblemError("expected batch to be a pair (inputs, targets)")
    problem = Problem(model, loss_fn, batch[0], batch[1])
    modes = (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled())
    check_without_running(problem)
    held: State | None = None
    own, generators = Belongings(problem.modules(), tensors_of(batch[1])), generators_of(problem)
    try:
        own.set_gradients_aside()
        check_by_running(problem, generators)
        before = look(problem)
        require_finite(problem, before.grad_norm_sq)
        own.forget_unwritten()
        device = next(iter(problem.parameters().values())).device
        now = wall_clock(device)
        start = now()
        state = teleporter.prepare(problem)
        prepared = now() - start
        held = state if isinstance(state, State) else State(before=problem.copy())
        call = Call(problem, teleporter, state, held, before)
        start = now()
        result = teleporter.advance(problem, state)
        seconds = Seconds(prepared, now() - start)
        result = _complete(call, replace(result, seconds=seconds))
        own.put_back()
        generators.put_back()
        return result  # noqa: TRY300  an interrupt may come here as well
    except BaseException:
        if held is not None:
            held.restore(problem)
        own.put_all_back()
        generators.put_back()
        # An interrupt may have come just when these were about to be put back.
        torch.set_grad_enabled(modes[0])
        torch.backends.mha.set_fastpath_enabled(modes[1])
        raise


def _complete(call: Call, result: TeleportResult) -> TeleportResult:
    """Hold the result to the model: both ends of its lists, its gradient and its guarantee."""
    require_gradient(call.problem, call.before, result.grad_norm_sq[0])
    end = refused = end_of(call, result)
    if refused.refused and result.steps_done:
        end, refused = last_kept(call, refused)
    if end.guarantee is not end.result.guarantee or refused.refused is Status.OUTPUTS_CHANGED:
        outcome = "the result is marked APPROXIMATE"
        if refused is not end:
            kept = f"{end.result.steps_done} of {result.steps_done}"
            outcome = f"that step was taken back, {kept} are kept"
        warn_of_change(call.problem, refused.change, refused.movement, outcome)
    loss, norms = [*end.result.loss], [*end.result.grad_norm_sq]
    loss[0], loss[-1], norms[-1] = call.before.loss, end.seen.loss, end.seen.grad_norm_sq
    return replace(
        end.result,
        seconds=result.seconds,
        loss=loss,
        grad_norm_sq=norms,
        guarantee=end.guarantee,
        output_change=end.change,
    )
