"""One call of a schedule: teleports on the loader's batches, kept or taken back as a whole."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from teleport_core.distributed.group import group_of, unwrapped
from teleport_core.errors import OptionError, ProblemError
from teleport_core.forward.belongings import Belongings
from teleport_core.forward.generators import Generators
from teleport_core.problem import LossFn, Parameters, Problem
from teleport_core.results import TeleportResult
from teleport_core.teleport import teleport
from teleport_core.training.batches import Batch, Unpack, batches_of
from teleport_core.training.dropout import without_dropout
from teleport_core.training.loader_state import as_if_undrawn
from teleport_core.training.lookahead import Lookahead, look_ahead
from teleport_core.training.optimizer_state import fresh, put, require_own, rules_of, transport
from teleport_core.training.reuse import Trace, reuse

Action = Callable[[TeleportResult], Mapping[str, Tensor]]


class Teleports(list[TeleportResult]):
    """What the teleports of one call did, in order; empty where the schedule has none.

    Attributes:
        kept: whether the parameters are where these teleports took them; False where the guard
            took them back.
        lookahead: what the guard saw; None without one.
        cosine: of the previous gradient and the move, with ``optimizer_state="reuse"``; None where
            nothing moved, or nothing is known of a step before.
    """

    kept: bool = True
    cosine: float | None = None
    lookahead: Lookahead | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything in lists, dictionaries, texts and numbers, as JSON has them."""
        seen = None if self.lookahead is None else self.lookahead._asdict()
        return {"kept": self.kept, "lookahead": seen, "results": [each.to_dict() for each in self]}

    def __repr__(self) -> str:
        ended = Counter(each.status.name for each in self)
        outcomes = "".join(f", {count} {name}" for name, count in ended.items())
        return f"Teleports({len(self)}{outcomes}{'' if self.kept else ', taken back'})"


@dataclass(frozen=True)
class Call:
    """What a schedule asks for.

    Attributes:
        by_task: whether the method takes a loss with one value per task.
        action: gives the scales of a move, to transport a state.
    """

    method: str
    options: Mapping[str, Any]
    batches: int
    optimizer_state: str
    guarded: bool
    action: Action | None
    by_task: bool = False

    def carry_out(
        self, model: nn.Module, loss_fn: LossFn, loader: Any, optimizer: Optimizer, unpack: Unpack
    ) -> Teleports:
        """Teleport; after an error or an interrupt everything is as before, bit for bit."""
        model = self._of_all_ranks(model)
        require_own(optimizer, model)
        if self.optimizer_state == "transport":
            rules_of(optimizer)
        modules = [one for one in (model, loss_fn) if isinstance(one, nn.Module)]
        own, state = Belongings(modules), dict(optimizer.state)
        generators = Generators(modules, {p.device for p in model.parameters()})
        try:
            with ExitStack() as stack:
                stack.callback(generators.put_back)
                stack.enter_context(as_if_undrawn(loader))
                batches = stack.enter_context(closing(batches_of(loader, unpack, model)))
                first = Problem(model, loss_fn, *next(batches), by_task=self.by_task)
                stack.enter_context(without_dropout(first))
                return self._move(first, batches, optimizer)
        except BaseException:
            own.put_all_back()
            put(optimizer, state)
            raise

    def _of_all_ranks(self, model: nn.Module) -> nn.Module:
        """The model that is teleported; its ranks make no decision of their own."""
        group = group_of(self.options.get("process_group"))
        if group is None:
            return model
        if self.guarded:
            raise OptionError(
                "expected no guard with process_group, as each rank would look ahead on a batch of "
                "its own and decide for itself: leave guard out"
            )
        return unwrapped(model, group)

    def _move(self, first: Problem, batches: Iterator[Batch], optimizer: Optimizer) -> Teleports:
        before: Parameters = first.copy() if self.guarded else {}
        buffers = _buffers(first.model) if self.guarded else {}
        state = dict(optimizer.state)
        trace = Trace.of(optimizer) if self.optimizer_state == "reuse" else None
        results = Teleports(
            [self._teleport(first.model, first.loss_fn, (first.inputs, first.targets))]
        )
        for batch in islice(batches, self.batches - 1):
            results.append(self._teleport(first.model, first.loss_fn, batch))
        self._take_along(optimizer, first.model, results)
        if self.guarded:
            # After the last batch of a short loader comes its first.
            inputs, targets = next(batches, (first.inputs, first.targets))
            ahead = replace(first, inputs=inputs, targets=targets)
            results.lookahead = look_ahead(ahead, optimizer, before, buffers, state)
            results.kept = results.lookahead.not_worse
        if not results.kept:
            first.write(before)
            first.write_buffers(buffers)
            put(optimizer, state)
        elif trace is not None:
            results.cosine = trace.cosine()
            if results.cosine is not None:
                reuse(optimizer, results.cosine)
        return results

    def _teleport(self, model: nn.Module, loss_fn: LossFn, batch: Batch) -> TeleportResult:
        return teleport(model, loss_fn, batch, method=self.method, **self.options)

    def _take_along(
        self, optimizer: Optimizer, model: nn.Module, results: list[TeleportResult]
    ) -> None:
        """Have the optimizer's state follow the move as ``optimizer_state`` says."""
        if self.optimizer_state == "reset":
            put(optimizer, fresh(optimizer))
        if self.action is None:
            return
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        parameters = dict(model.named_parameters())
        for result in (one for one in results if one.steps_done):
            scales = self.action(result)
            unknown = next((name for name in scales if name not in parameters), None)
            if unknown is not None:
                raise ProblemError(
                    f"expected an action on parameters of the model; {self.method} gives a scale "
                    f"of {unknown!r}"
                )
            known = {parameters[name]: scale for name, scale in scales.items()}
            transport(optimizer, {p: scale for p, scale in known.items() if id(p) in held})


def _buffers(model: nn.Module) -> Parameters:
    """Copies of those that a method may move; nothing can write one of inference mode."""
    return {name: b.clone() for name, b in model.named_buffers() if not b.is_inference()}
