"""What one call of ``teleport`` does to loss, outputs and gradient of a live model."""

import warnings
from collections.abc import Callable, Mapping
from math import nan
from typing import Any, NamedTuple

import torch

from teleport_core import Problem, Status, TeleportWarning, teleport
from teleport_core.training.batches import Batch

# The call came as far as it was asked to.
_FINE = (Status.DONE, Status.CAPPED)


class Effect(NamedTuple):
    """What is known of a call: whether it moved anything, why no farther, and the numbers."""

    moved: bool
    why: str
    facts: dict[str, Any]


def effect(
    problem: Problem,
    heldout: list[Batch],
    method: str,
    options: Mapping[str, Any],
    back: Callable[[], None],
) -> Effect:
    """One call from the start; ``heldout`` has the batch that it does not see, if there is one.

    Raises:
        TeleportError: the method refuses.
    """
    back()
    before = _loss(problem, heldout)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TeleportWarning)  # the status says the same
        batch = (problem.inputs, problem.targets)
        result = teleport(problem.model, problem.loss_fn, batch, method=method, **options)
    facts = {
        "teleport_status": result.status.name,
        "guarantee": result.guarantee.name,
        "grad_norm_sq": tuple(result.grad_norm_sq),
        "loss": (result.loss[0], result.loss[-1]),
        "loss_change": _relative(result.loss[-1], result.loss[0]),
        "heldout_change": _relative(_loss(problem, heldout), before),
        "output_change": result.output_change,
    }
    why = "" if result.status in _FINE else result.status.value
    return Effect(result.steps_done > 0, why, facts)


def _loss(problem: Problem, heldout: list[Batch]) -> float:
    if not heldout:
        return nan
    with torch.no_grad():
        return float(Problem(problem.model, problem.loss_fn, *heldout[0]).loss())


def _relative(now: float, before: float) -> float:
    return abs(now - before) / abs(before) if before else nan
