"""The one call most users need: check, prepare, advance, and look at the result off the clock."""

import math
from dataclasses import replace
from time import perf_counter
from typing import Any

import torch
from torch import nn

from teleport_core.checks import check_problem
from teleport_core.errors import ProblemError
from teleport_core.interface import Seconds, State, Status, Teleporter, TeleportResult
from teleport_core.objective import loss_and_grad_norm_sq
from teleport_core.problem import LossFn, Problem
from teleport_core.registry import make


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
        OptionError, ProblemError, ModelError: the parameters are then bit for bit as before.
    """
    teleporter = make(method, **options)
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        raise ProblemError("expected batch to be a pair (inputs, targets)")
    problem = Problem(model, loss_fn, batch[0], batch[1])
    first_loss = check_problem(problem)

    device = next(iter(problem.parameters().values())).device
    start = _now(device)
    state = teleporter.prepare(problem)
    prepared = _now(device)
    result = teleporter.advance(problem, state)
    seconds = Seconds(prepared - start, _now(device) - prepared)
    return _complete(teleporter, problem, state, result, first_loss, seconds)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()


def _complete(
    teleporter: Teleporter,
    problem: Problem,
    state: Any,
    result: TeleportResult,
    first_loss: float,
    seconds: Seconds,
) -> TeleportResult:
    """Fill in both ends of the lists by real passes; take back a last step that diverged."""
    loss, norm = loss_and_grad_norm_sq(problem)
    status, steps_done = result.status, result.steps_done
    losses, norms = list(result.loss), list(result.grad_norm_sq)
    finite = math.isfinite(loss) and math.isfinite(norm)
    if not finite and steps_done and isinstance(state, State) and state.step_back(problem):
        status, steps_done = Status.NON_FINITE, steps_done - 1
        losses, norms = losses[:-1], norms[:-1]
        loss, norm = loss_and_grad_norm_sq(problem)
    losses[0], losses[-1] = first_loss, loss
    norms[-1] = norm
    return replace(
        result,
        status=status,
        steps_done=steps_done,
        loss=losses,
        grad_norm_sq=norms,
        seconds=seconds,
    )
