"""What a teleport costs in forward and backward passes of a training batch, by counted operations.

Unlike seconds they are the same when a run is taken up again. What is counted is what counts in
``bench.costs.counted``: products of matrices and factorisations.
"""

import copy
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

import torch
from torch import nn

from bench.costs.counted import Counter
from bench.problems.factory import Batch, LossFunction
from bench.trainer.data import Task
from bench.training.arms import Arm
from teleport_core import OptionError, Problem, make, teleport
from teleport_core.forward.arguments import arguments
from teleport_core.training.dropout import without_dropout

_AT_ONCE = 1e-30  # a cap that every gradient has reached


class Price(NamedTuple):
    """Gradient-equivalents of a call: of one that stands at its cap, and what each step adds.

    What is done once for a call that moves is spread over its steps.
    """

    call: float
    step: float

    def of(self, steps_done: int) -> float:
        """Of a call that took so many steps."""
        return self.call + self.step * steps_done


def price_of(arm: Arm, task: Task, steps: int, training: Batch, batch: Batch) -> Price | None:
    """Counted on a copy of the model: a call that takes its steps, and one that takes none.

    None where something in it cannot be counted.
    """
    model = task.model(0)
    one = _counted(lambda: _forward_backward(model, task.loss_fn, training))
    options: dict[str, Any] = {**arm.method_options, "steps": steps}
    assert arm.variant is not None
    if arm.climbs_for_optimizer:
        options["objective"] = "l1"  # the products are the same
    method = arm.variant.method
    if _waits(method):
        options["trigger"] = "always"

    def call(**changes: Any) -> int:
        twin = copy.deepcopy(model)
        with without_dropout(Problem(twin, task.loss_fn, *batch)):  # as the schedule does
            result = teleport(twin, task.loss_fn, batch, method=method, **options | changes)
        return result.steps_done

    taken: list[int] = []
    whole = _counted(lambda: taken.append(call()))
    idle = _counted(lambda: call(cap=_AT_ONCE)) if _caps(method, options) else 0
    if not one or whole is None or idle is None:
        return None
    step = (whole - idle) / one / max(taken[0], 1)
    return Price(idle / one, step)


def _waits(method: str) -> bool:
    """Whether a method may find nothing to do on a batch, unless it is told to."""
    return any(field.name == "trigger" for field in fields(make(method)))


def _caps(method: str, options: dict[str, Any]) -> bool:
    try:
        return make(method, **options | {"cap": _AT_ONCE}).stands_at_cap(1.0)
    except OptionError:
        return False


def _counted(call: Callable[[], object]) -> int | None:
    with Counter() as counter:
        call()
    total = counter.total
    return None if total is None else total.products + total.factorisations


def _forward_backward(model: nn.Module, loss_fn: LossFunction, batch: Batch) -> None:
    positional, keywords = arguments(batch[0])
    # Of several tasks their mean: a step on each of them takes more, in every arm alike.
    torch.autograd.backward(loss_fn(model(*positional, **keywords), batch[1]).mean())
