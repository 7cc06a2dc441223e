"""Random runs over the zoo, and what every tau of the grid reaches within a drift."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from oracles import loss_and_grad_norm_sq, snapshot
from torch.utils._pytree import tree_map
from zoo import ZOO

from teleport_core import Problem, Status, make

GRID = (1.0, 0.9999, 0.999, 0.99, 0.95, 0.9)


@dataclass(frozen=True)
class Run:
    """A row of the zoo, the seed of its weights, and a learning rate."""

    name: str
    seed: int
    lr: float

    def problem(self, dtype: torch.dtype = torch.float64) -> Problem:
        """The same weights every time; the inputs are the row's."""
        torch.manual_seed(self.seed)
        found = ZOO[self.name].build()

        def cast(value: object) -> object:
            floating = isinstance(value, torch.Tensor) and value.is_floating_point()
            return value.to(dtype) if floating else value  # type: ignore[attr-defined]

        model, inputs = found.model.to(dtype), tree_map(cast, found.inputs)
        return Problem(model, found.loss_fn, inputs, found.targets)


def random_runs(count: int, seed: int) -> Iterator[Run]:
    """Every row in turn, at seeds and learning rates (1e-4 to 10) at random."""
    names = sorted(ZOO)
    draw = random.Random(seed)
    draw.shuffle(names)
    for i in range(count):
        yield Run(names[i % len(names)], draw.randrange(10_000), 10 ** draw.uniform(-4.0, 1.0))


def best_of_the_grid(problem: Problem, lr: float, steps: int, max_drift: float) -> float:
    """The largest ||g||^2 on the way of any tau, as long as the loss has not drifted too far.

    By the textbook engine, a step at a time; the model is left as it was.
    """
    start = snapshot(problem)
    first, best = loss_and_grad_norm_sq(problem)
    for tau in GRID:
        teleporter = make("nullspace", engine="textbook", tau=tau, steps=1, lr=lr)
        state = teleporter.prepare(problem)
        for _ in range(steps):
            result = teleporter.advance(problem, state)
            loss, norm = loss_and_grad_norm_sq(problem)
            drifted = not abs(loss - first) <= max_drift * abs(first)
            if result.status is not Status.DONE or drifted or not math.isfinite(norm):
                break
            best = max(best, norm)
        problem.model.load_state_dict(start)
    return best
