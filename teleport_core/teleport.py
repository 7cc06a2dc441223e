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
from teleport_core.verification.guarantee import (
    require_gradient,
    verified_guarantee,
    warn_of_change,
)
from teleport_core.verification.problem_checks import (
    check_by_running,
    check_without_running,
    require_finite,
)
from teleport_core.verification.randomness import generators_of
from teleport_core.verification.reference import Look, look, output_change
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
        model: any module; its ``nn.Parameter`` objects stay the same, its buffers end as they
            began, an optimizer made before goes on working.
        loss_fn: ``loss_fn(model_output, targets)`` returns a scalar tensor.
        batch: ``(inputs, targets)``; inputs are a tensor, a tuple (positional) or a dict
            (keywords).
        method: one of ``available()``.
        **options: the method's options, for example ``steps=8, lr=0.01, cap=5.0, tau=1.0``.

    Returns:
        What happened; ``loss[0]`` and ``loss[-1]`` come from real forward passes off the clock.

    Raises:
        OptionError, ProblemError, ModelError: the parameters are then bit for bit as before, as
            they are after an interrupt.

    Warns:
        TeleportWarning: the outputs changed although the method promises that they do not; the
            guarantee of the result is then APPROXIMATE.
    """
    teleporter = make(method, **options)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ProblemError("expected batch to be a pair (inputs, targets)")
    problem = Problem(model, loss_fn, batch[0], batch[1])
    modes = (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled())
    check_without_running(problem)
    state = None
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
        prepared = now()
        result = teleporter.advance(problem, state)
        seconds = Seconds(prepared - start, now() - prepared)
        result = _complete(problem, state, before, replace(result, seconds=seconds))
        own.put_back()
        generators.put_back()
        return result  # noqa: TRY300  an interrupt may come here as well
    except BaseException:
        if isinstance(state, State):
            state.restore(problem)
        own.put_all_back()
        generators.put_back()
        # An interrupt may have come just when these were about to be put back.
        torch.set_grad_enabled(modes[0])
        torch.backends.mha.set_fastpath_enabled(modes[1])
        raise


def _complete(problem: Problem, state: Any, before: Look, result: TeleportResult) -> TeleportResult:
    """Hold the result to the model: both ends of its lists, its gradient and its guarantee."""
    require_gradient(problem, before, result.grad_norm_sq[0])
    state = state if isinstance(state, State) else State()
    status, steps_done = result.status, result.steps_done
    after = look(problem)
    while not after.finite and steps_done:
        status = Status.NON_FINITE
        if state.step_back(problem):
            steps_done -= 1
        else:
            state.restore(problem)
            steps_done = 0
        after = look(problem)
    loss, norms = result.loss[: steps_done + 1], result.grad_norm_sq[: steps_done + 1]
    loss[0], loss[-1], norms[-1] = before.loss, after.loss, after.grad_norm_sq
    guarantee = verified_guarantee(problem, state, before, after, result.guarantee)
    if guarantee is not result.guarantee:
        warn_of_change(problem, state, before, after)
    return replace(
        result,
        status=status,
        steps_done=steps_done,
        loss=loss,
        grad_norm_sq=norms,
        guarantee=guarantee,
        output_change=output_change(before, after),
    )
