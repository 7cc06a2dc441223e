"""Look at a model on the first batches of a loader, and say what a teleport could move."""

from typing import Any

from torch import nn

from teleport_core.advice.advice import Advice, LayerAdvice
from teleport_core.advice.batch_sizes import Sized, sized
from teleport_core.advice.freedom import Block, Freedom, freedoms
from teleport_core.advice.verdict import samples
from teleport_core.option_checks import require_int
from teleport_core.problem import LossFn, Problem
from teleport_core.training.batches import Unpack, pair
from teleport_core.training.borrowed import borrowed

TAUS = (1.0, 0.9999, 0.999, 0.99, 0.9)


def advise(
    model: nn.Module,
    loss_fn: LossFn,
    loader: Any,
    *,
    batches: int = 4,
    unpack: Unpack = pair,
) -> Advice:
    """What a null-space teleport could move in ``model``, by batch size and by tau.

    The first batches of the loader are cut, and put together, to an eighth up to four times its
    batch size, as far as samples are there; the model is run once on each. Nothing is other than
    before afterwards: parameters, buffers, gradients, modes, generators, and the loader. Dropout
    is off for the call, as it is for a schedule's teleports; batch norm stays in its mode.

    Args:
        model: any module.
        loss_fn: ``loss_fn(model_output, targets)`` returns a scalar tensor.
        loader: a DataLoader, a list of batches, whatever can be iterated over again; or one batch
            ``(inputs, targets)``, as ``teleport`` takes it. A pair of pairs, or of mappings, is two
            batches.
        batches: so many batches are drawn at most.
        unpack: makes ``(inputs, targets)`` of what the loader yields, as ``Schedule`` does.

    Raises:
        OptionError: ``batches`` is no whole number >= 1, or the loader an iterator.
        ProblemError, ModelError: a model, a loss or a first batch that ``teleport`` refuses.
    """
    number = require_int("batches", batches, at_least=1)
    with borrowed(model, loss_fn, loader, number, unpack) as found:
        return _looked_at(found.first, sized(found.batches))


def _looked_at(first: Problem, found: Sized) -> Advice:
    by_size: dict[int, dict[Block, Freedom]] = {}
    held: dict[str, str] = {}
    notes = list(found.notes)
    for size in sorted(found.batches, key=lambda size: size != found.own):  # its own first
        if size == found.own:
            by_size[size], held = freedoms(first, TAUS)
            continue
        problem = Problem(first.model, first.loss_fn, *found.batches[size])
        try:
            by_size[size], _ = freedoms(problem, TAUS)
        except Exception as error:  # a model may want more samples, a machine fewer
            why = (str(error).splitlines() or [""])[0]
            notes.append(f"Not looked at: {samples(size)}, {type(error).__name__}: {why}")
    sizes = tuple(sorted(by_size))
    blocks = {block: each for by in by_size.values() for block, each in by.items()}
    return Advice(
        type(first.model).__name__,
        sizes,
        found.own,
        TAUS,
        tuple(_layer(one, [by_size[s].get(block) for s in sizes]) for block, one in blocks.items()),
        held,
        tuple(notes),
    )


def _layer(one: Freedom, seen: list[Freedom | None]) -> LayerAdvice:
    return LayerAdvice(
        one.weight,
        *one.shape,
        one.data_fed,
        tuple(each.moving if each else 0 for each in seen),
        tuple(each.free if each else None for each in seen),
        tuple(each.bound if each else None for each in seen),
    )
