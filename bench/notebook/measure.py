"""``bench.measure``: what teleports of a live model cost and do, from a notebook or a script.

In the process itself: no other could be handed a model that closes over what a notebook holds. On
a busy machine both sides of a ratio are slowed down, as each call has its SGD step beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import SpecError
from bench.notebook.cost import cost
from bench.notebook.effect import effect
from bench.spec.variants import Variant, check_variants
from bench.timing.rounds import settled
from bench.timing.start import copy_of, restore
from reports.measured.measured import Measured
from reports.measured.rows import MethodMeasured
from teleport_core import make
from teleport_core.errors import ModelError, TeleportError
from teleport_core.option_checks import require_int
from teleport_core.problem import LossFn, Problem
from teleport_core.training.batches import Batch, Unpack, pair
from teleport_core.training.borrowed import borrowed

METHODS = ("nullspace", "symmetry", "rescale", "gauge")


def measure(
    model: nn.Module,
    loss_fn: LossFn,
    loader: Any,
    methods: Sequence[str] = METHODS,
    *,
    steps: int = 8,
    growth: float = 4.0,
    unpack: Unpack = pair,
) -> Measured:
    """What every method costs on a live model, in SGD steps, and what it does to loss and gradient.

    Costs are medians over up to seven whole calls of ``teleport``, each beside one SGD step from
    the same weights; about two seconds a method. Nothing is other than before afterwards, bit for
    bit: parameters, buffers, gradients, modes, generators, and the loader. Dropout is off for the
    time, which a note says; batch norm stays in its mode.

    Args:
        model: any module, where and in the dtype it is.
        loss_fn: ``loss_fn(model_output, targets)`` returns a scalar tensor.
        loader: a DataLoader, a list of batches, or one batch ``(inputs, targets)``. Teleported on
            is its first batch; the second is held-out data.
        methods: with options where there are some, "nullspace:tau=0.99". One that cannot move this
            model is left out with its reason.
        steps: teleport steps of a call.
        growth: what ||g||^2 is multiplied by when the effect is looked at, where a method takes
            ``growth`` and its options name none, no lr and no max_drift.
        unpack: makes ``(inputs, targets)`` of what the loader yields, as ``Schedule`` does.

    Raises:
        SpecError: ``methods`` that cannot be read.
        OptionError: a method or an option that does not exist, or a value outside its range.
        ProblemError, ModelError: a model, a loss or a batch that no method takes.
    """
    given = (methods,) if isinstance(methods, str) else tuple(methods)
    variants = check_variants("methods", given)
    if not variants:
        raise SpecError("expected at least one method; got none: write for example ['nullspace']")
    require_int("steps", steps, at_least=1)
    options = {each: _options(each, steps, growth) for each in variants}
    with torch.enable_grad(), borrowed(model, loss_fn, loader, 2, unpack) as found, settled():
        live = _Live(found.first, found.batches[1:], copy_of(model))
        rows = tuple(_measured(live, each, options[each]) for each in variants)
        live.back()
    first = next(model.parameters())
    dropped = ", ".join(f"{name} ({kind})" for name, kind in found.dropout.items())
    return Measured(
        model=type(model).__name__,
        parameters=sum(each.numel() for each in model.parameters()),
        device=str(first.device),
        dtype=str(first.dtype).removeprefix("torch."),
        steps=steps,
        methods=rows,
        notes=(f"Dropout was off for the measurement: {dropped}.",) if dropped else (),
    )


@dataclass(frozen=True)
class _Live:
    """A problem, the batches after its own, and the way back to where every call starts."""

    problem: Problem
    heldout: list[Batch]
    start: dict[str, Tensor]

    def back(self) -> None:
        """The same weights and buffers."""
        restore(self.problem.model, self.start)


def _options(variant: Variant, steps: int, growth: float) -> dict[str, Any]:
    """With which the effect is looked at; OptionError: the method takes no such options."""
    own = {**variant.options, "steps": steps}
    method = make(variant.method, **own)
    free = method.grows and method.growth is None and not method.lr_is_given
    if not free:
        return own
    make(variant.method, **own, growth=growth)
    return {**own, "growth": growth}


def _measured(live: _Live, variant: Variant, options: dict[str, Any]) -> MethodMeasured:
    """The effect first: a method that moves nothing has no cost that anybody would pay."""
    made = partial(MethodMeasured, variant=str(variant))
    try:
        done = effect(live.problem, live.heldout, variant.method, options, live.back)
    except TeleportError as error:
        status = "skipped" if isinstance(error, ModelError) else "invalid"
        return made(status=status, reason=str(error))
    if not done.moved:
        return made(status="invalid", reason=done.why, **done.facts)
    try:
        costs = cost(live.problem, variant, options["steps"], live.back)
    except TeleportError as error:
        return made(status="invalid", reason=f"not timed: {error}", **done.facts)
    return made(reason=done.why, **done.facts, **costs)
