"""What is slow the first time is done once before any clock runs, on copies."""

import copy
from itertools import islice

import torch

from bench.problems.optimizers import optimizer_for
from bench.trainer.moments.teleports import schedule_for
from bench.trainer.run import Run
from bench.trainer.steps import take_step
from teleport_core import TeleportError

_STEPS = 3


def warm_up(runs: list[Run]) -> None:
    """A few steps, and a teleport of every kind; nothing of the trials changes."""
    known: set[str] = set()
    for run in runs:
        if run.arm.name in known:
            continue
        known.add(run.arm.name)
        task, twin = run.task, copy.deepcopy(run.model)
        optimizer = optimizer_for(run.trial["optimizer"], twin.parameters(), run.trial["lr"])
        with torch.random.fork_rng():
            for batch in islice(task.batches.epoch(0), _STEPS):
                take_step(task, twin, optimizer, batch, lambda _: None)
            if run.arm.variant is not None:
                loader = list(islice(task.batches.teleports(0, task.point.n), 2))
                try:
                    schedule = schedule_for(run.arm, task.point, optimizer)
                    schedule.before_epoch(0, twin, task.loss_fn, loader, optimizer)
                except TeleportError:
                    pass  # the trial itself says what is wrong
