"""Time the variants of one point, interleaved, on one model and its batches."""

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, nan
from typing import Any

import torch

from bench.spec.sampling import Sampling
from bench.spec.variants import Variant
from bench.timing.clock import Clock
from bench.timing.stopping import Stopping, Warmup, warmed_up
from teleport_core import Problem, Teleporter, make
from teleport_core.forward.arguments import arguments
from teleport_core.phases import BACKWARD, FORWARD, UPDATE

# So small that no step is refused or changes what the next one computes.
TIMING_LR = 1e-6

Sample = dict[str, Any]


def options_at(variant: Variant, steps: int) -> dict[str, Any]:
    """The options with which a variant is timed: its own, and none that ends it early."""
    takes_lr = make(variant.method, **variant.options).takes_lr
    lr = {"lr": TIMING_LR} if takes_lr else {}
    return {**variant.options, "steps": steps, **lr, "cap": inf}


@dataclass
class Entrant:
    """One variant in the interleaved measurement of a point.

    ``call`` does one whole sample between the clocks and answers (samples, steps done, facts).
    """

    cell_id: str
    expected_steps: int
    call: Callable[[], tuple[list[Sample], int, dict[str, Any]]]
    facts: dict[str, Any] = field(default_factory=dict)
    held: bool = False  # whether its gradient is known to be the model's own
    steps_done: int = 0
    warmup: list[float] = field(default_factory=list)  # wall times of the rounds so far
    seconds: list[float] = field(default_factory=list)

    def take(self, number: int, samples: list[Sample]) -> None:
        """Note the wall time of round ``number``; what the stopping rule goes by."""
        wall = [sample["seconds"] for sample in samples if sample["clock"] == "wall"]
        (self.warmup if number < 0 else self.seconds).extend(wall)


def teleport_call(
    teleporter: Teleporter, problems: list[Problem], clocks: list[Clock]
) -> tuple[list[Sample], int, dict[str, Any]]:
    """Prepare and advance on every batch in turn; a mark before, between and after.

    The facts are those of the last batch, but for ||g||^2 where the first one started.
    """
    steps_done, first = 0, nan
    marks = [[clock.mark() for clock in clocks]]
    for problem in problems:
        state = teleporter.prepare(problem)
        marks.append([clock.mark() for clock in clocks])
        result = teleporter.advance(problem, state)
        marks.append([clock.mark() for clock in clocks])
        steps_done += result.steps_done
        first = result.grad_norm_sq[0] if problem is problems[0] else first
    facts = {
        "grad_norm_sq": first,
        "guarantee": result.guarantee.name,
        "null_dims": result.null_dims,
        "teleport_status": result.status.name,
    }
    return _samples(clocks, marks), steps_done, facts


def sgd_call(
    problems: list[Problem], steps: int, clocks: list[Clock]
) -> tuple[list[Sample], int, dict[str, Any]]:
    """``steps`` SGD steps on every batch: forward, backward, in-place foreach update."""
    parameters = [p for p in problems[0].model.parameters() if p.requires_grad]
    marks = [[clock.mark() for clock in clocks]]
    for problem in problems:
        marks.append([clock.mark() for clock in clocks])
        for _ in range(steps):
            with FORWARD:
                loss = problem.loss_fn(_forward(problem), problem.targets)
                loss = loss.mean() if problem.by_task else loss
            with BACKWARD:
                gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            used = [(p, g) for p, g in zip(parameters, gradients, strict=True) if g is not None]
            with UPDATE, torch.no_grad():
                torch._foreach_add_([p for p, _ in used], [g for _, g in used], alpha=-TIMING_LR)
        marks.append([clock.mark() for clock in clocks])
    return _samples(clocks, marks), steps * len(problems), {}


def _forward(problem: Problem) -> Any:
    args, keywords = arguments(problem.inputs)
    return problem.model(*args, **keywords)


def _samples(clocks: list[Clock], marks: list[list[Any]]) -> list[Sample]:
    samples = []
    for i, clock in enumerate(clocks):
        times = [row[i] for row in marks]
        spans = [clock.seconds(a, b) for a, b in pairwise(times)]
        samples.append(
            {
                "clock": clock.name,
                "seconds": clock.seconds(times[0], times[-1]),
                "prepare_s": sum(spans[0::2]),
                "steps_s": sum(spans[1::2]),
            }
        )
    return samples


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Collect garbage now and not while the clock runs."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Rounds:
    """The order of measurement: in each round every entrant once, in a new seeded order.

    Yields (number of the round, entrant). Warm-up rounds are numbered -1, -2, ...; the others from
    0. Entrants may be taken out of the list in between. ``warmup`` and ``stopping`` say afterwards
    why the warm-up and the sampling ended; see ``bench.timing.stopping``. Whoever measures calls
    ``take`` on the entrants.
    """

    def __init__(
        self, entrants: list[Entrant], sampling: Sampling, seed: int, now: Callable[[], float]
    ) -> None:
        self._entrants, self._sampling, self._now = entrants, sampling, now
        self._order = random.Random(seed)
        self.stopping = Stopping(sampling)
        self.warmup = Warmup(0, "")

    def __iter__(self) -> Iterator[tuple[int, Entrant]]:
        yield from self._warm_up()
        started, number = self._now(), 0
        while self._entrants:
            yield from self._round(number)
            number += 1
            series = {entrant.cell_id: entrant.seconds for entrant in self._entrants}
            if self.stopping.decide(series, number, self._now() - started):
                return

    def _warm_up(self) -> Iterator[tuple[int, Entrant]]:
        started, number, why = self._now(), 0, ""
        while self._entrants:
            series = [entrant.warmup for entrant in self._entrants]
            why = warmed_up(series, number, self._now() - started, self._sampling)
            if why:
                break
            number += 1
            yield from self._round(-number)
        self.warmup = Warmup(number, why)

    def _round(self, number: int) -> Iterator[tuple[int, Entrant]]:
        for entrant in self._order.sample(self._entrants, len(self._entrants)):
            yield number, entrant


@contextmanager
def settled() -> Iterator[None]:
    """Keep all that lives now out of the collector's sight, so that collecting is quick."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
