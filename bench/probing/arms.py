"""Arms from one start: the same weights, batches and optimizer, with and without a teleport."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch

from bench.probing.optimizers import State, first_order_gain, made
from bench.problems.build import Built
from bench.spec.variants import Variant
from bench.timing.start import Values, copy_of, restore
from teleport_core import Problem, teleport

Facts = dict[str, Any]


@dataclass(frozen=True)
class Start:
    """Where the arms begin.

    Attributes:
        values: parameters and buffers.
        state: the optimizer's.
        at: the batch that comes next.
    """

    values: Values
    state: State
    at: int


class Bench:
    """A model with the batches of an epoch, an optimizer's name, and how long a sweep looks."""

    def __init__(
        self, built: Built, optimizer: str, lrs: Sequence[float], horizons: Sequence[int]
    ) -> None:
        self._built, self._optimizer = built, optimizer
        self._lrs, self._horizons = lrs, horizons
        self.problems = [Problem(built.model, built.loss_fn, *batch) for batch in built.batches]

    def beginning(self) -> Start:
        """The weights as they are, and no state."""
        return Start(copy_of(self._built.model), None, 0)

    def later(self, start: Start, steps: int, lr: float) -> Start:
        """After so many plain steps."""
        restore(self._built.model, start.values)
        optimizer = made(self._optimizer, self._built.model.parameters(), lr, start.state)
        for step in range(steps):
            self._step(optimizer, start.at + step)
        return Start(copy_of(self._built.model), optimizer.state_dict(), start.at + steps)

    def arm(self, start: Start, move: Callable[[], Facts] | None = None) -> Facts:
        """The fields of a record: the move, if any, the gain there, and the sweep from there."""
        restore(self._built.model, start.values)
        facts: Facts = {"loss_start": _number(self.loss())}
        began = perf_counter()
        if move is not None:
            facts |= move()
            facts["move_s"] = perf_counter() - began
        facts["loss_moved"] = _number(self.loss())
        facts["gain"] = _number(self._gain(start.state))
        moved = Start(copy_of(self._built.model), start.state, start.at)
        seconds: list[float] = []
        facts["sweep"] = [
            {"lr": lr, "losses": [*self._losses(moved, lr, seconds)]} for lr in self._lrs
        ]
        facts["step_s"] = median(seconds) if seconds else None
        restore(self._built.model, start.values)
        return facts

    def teleports(self, variant: Variant, steps: int, batches: int) -> Facts:
        """Move on so many batches, one after another."""
        grown, ended = [], []
        options: Facts = {**variant.options, "steps": steps}
        for problem in self.problems[:batches]:
            batch = (problem.inputs, problem.targets)
            result = teleport(
                problem.model, problem.loss_fn, batch, method=variant.method, **options
            )
            norms = result.grad_norm_sq
            grown.append(norms[-1] / norms[0] if norms[0] else math.nan)
            ended.append(result.status.name)
        return {"grown": [each for each in grown if math.isfinite(each)], "ended": ended}

    def loss(self) -> float:
        """The mean of all batches."""
        with torch.no_grad():
            return sum(float(problem.loss()) for problem in self.problems) / len(self.problems)

    def _losses(self, start: Start, lr: float, seconds: list[float]) -> Iterator[float | None]:
        """After the steps of each horizon; of none behind one where the loss is not finite."""
        restore(self._built.model, start.values)
        optimizer = made(self._optimizer, self._built.model.parameters(), lr, start.state)
        taken, loss = 0, 0.0
        for horizon in self._horizons:
            if math.isfinite(loss):
                began = perf_counter()
                steps = range(start.at + taken, start.at + horizon)
                finite = all(self._step(optimizer, step) for step in steps)
                if finite:
                    seconds.append((perf_counter() - began) / len(steps))
                taken, loss = horizon, self.loss() if finite else math.nan
            yield _number(loss)

    def _step(self, optimizer: torch.optim.Optimizer, number: int) -> bool:
        """Whether the loss was finite."""
        optimizer.zero_grad()
        loss = self.problems[number % len(self.problems)].loss()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return math.isfinite(float(loss.detach()))

    def _gain(self, state: State) -> float:
        """At the gradient of the mean of all batches."""
        model = self._built.model
        model.zero_grad()
        for problem in self.problems:
            (problem.loss() / len(self.problems)).backward()  # type: ignore[no-untyped-call]
        gain = first_order_gain(self._optimizer, model, state)
        model.zero_grad()
        return gain


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
