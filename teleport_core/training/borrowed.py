"""A model and the first batches of its loader, handed back as if nobody had touched them."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import nn

from teleport_core.forward.arguments import copied, usable
from teleport_core.forward.belongings import Belongings
from teleport_core.forward.generators import Generators
from teleport_core.problem import LossFn, Problem
from teleport_core.training.batches import Batch, Unpack, batches_of, pair
from teleport_core.training.dropout import without_dropout
from teleport_core.training.loader_state import as_if_undrawn
from teleport_core.verification.model_checks import check_model
from teleport_core.verification.problem_checks import check_problem


@dataclass(frozen=True)
class Borrowed:
    """What may be looked at and moved until it is handed back.

    Attributes:
        first: the model on the first batch; its loss and model have been checked.
        batches: as many of the loader's first as were asked for and are there.
        dropout: what was switched off for the time: name of a module -> name of its class.
    """

    first: Problem
    batches: list[Batch]
    dropout: dict[str, str]


@contextmanager
def borrowed(
    model: nn.Module, loss_fn: LossFn, loader: Any, number: int, unpack: Unpack = pair
) -> Iterator[Borrowed]:
    """Draw ``number`` batches, with dropout off and batch norm in its mode.

    However it ends, nothing is other than before: parameters, buffers, gradients, modes,
    generators, and the loader, which may be one batch ``(inputs, targets)``, too.

    Raises:
        OptionError: the loader is an iterator.
        ProblemError, ModelError: a model, a loss or a first batch that ``teleport`` refuses.
    """
    _check_model(model)
    modules = [one for one in (model, loss_fn) if isinstance(one, nn.Module)]
    own = Belongings(modules)
    generators = Generators(modules, {p.device for p in model.parameters()})
    source = [loader] if unpack is pair and _is_one_batch(loader) else loader
    try:
        own.set_gradients_aside()
        with ExitStack() as stack:
            stack.enter_context(as_if_undrawn(source))
            drawing = stack.enter_context(closing(batches_of(source, unpack, model)))
            drawn = [_usable(batch) for batch in islice(drawing, number)]
            first = Problem(model, loss_fn, *drawn[0])
            dropout = stack.enter_context(without_dropout(first))
            check_problem(first)
            yield Borrowed(first, drawn, dropout)
    finally:
        own.put_all_back()
        generators.put_back()


def _check_model(model: nn.Module) -> None:
    """``check_model``, but for dropout, which is switched off once there is a batch."""
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, nn.Module) else []
    try:
        for module, _ in modes:
            module.training = False
        check_model(model)
    finally:
        for module, mode in modes:
            module.training = mode


def _is_one_batch(loader: Any) -> bool:
    """Whether this is (inputs, targets); two of which each could be a batch are two batches."""
    if not isinstance(loader, (tuple, list)) or len(loader) != 2:
        return False
    return not all(
        isinstance(one, Mapping) or (isinstance(one, (tuple, list)) and len(one) == 2)
        for one in loader
    )


def _usable(batch: Batch) -> Batch:
    """A batch of which the loss may do with the targets what it likes."""
    return usable(batch[0]), copied(batch[1])
