"""Teleports of a trial at one moment, with what is to be known of each off the clock."""

import copy
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from torch import nn
from torch.optim import Optimizer

from bench.plan.points import Point
from bench.problems.factory import Batch
from bench.trainer.moments.moves import Happened, Move, Observed, distance, values
from bench.trainer.run import Run
from bench.training.arms import Arm
from teleport_core import Schedule


def schedule_for(arm: Arm, point: Point, optimizer: Optimizer) -> Schedule:
    """The schedule of a teleport arm; of one moment, as it is asked for each."""
    assert arm.variant is not None
    options: dict[str, Any] = {**arm.method_options, **arm.schedule_options, "steps": point.t}
    if arm.climbs_for_optimizer:
        options["objective"] = optimizer
    return Schedule(arm.variant.method, epochs=(0,), batches=point.b, **options)


def drawn(run: Run) -> Iterator[Batch]:
    """The teleport batches of this moment, the same for all arms."""
    seed = run.study.seed("teleports", run.trial["seed"], run.step)
    return run.study.task.batches.teleports(seed, run.study.task.point.n)


Carry = Callable[[Callable[[], None]], list[Any]]


def by_schedule(schedule: Schedule, run: Run) -> Carry:
    """What carries the teleports of a schedule out, and tells who asks whenever one is over."""

    def carry(asked: Callable[[], None]) -> list[Any]:
        loader = Observed(drawn(run), asked)
        loss_fn = run.study.task.loss_fn
        return schedule.before_epoch(0, run.model, loss_fn, loader, run.optimizer)

    return carry


def teleports(run: Run, place: int, batch: Batch, carry: Carry) -> None:
    """Carry teleports out, with what is to be known of each."""
    look = Look(run)
    with run.watch.standing():
        start, state = copy.deepcopy(run.model), copy.deepcopy(run.optimizer.state_dict())
        watched = run.arm.name == run.study.watched
        floor = run.gradient_norm(batch) if watched else 0.0
    results = carry(look.asked)
    with run.watch.standing():
        look.close(last=True)
        for move, result in zip(look.moves, results, strict=True):
            move.result, move.kept = result, getattr(results, "kept", True)
            move.status, move.steps_done = result.status.name, result.steps_done
            move.equivalents = None if run.price is None else run.price.of(result.steps_done)
        happened = run.happened[run.step] = _happened(run, look.moves, floor)
        if watched and floor:
            happened.gain = run.gradient_norm(batch) / floor
        say(run, look.moves, _ahead(run, place, start, state))


def _happened(run: Run, moves: list[Move], floor: float) -> Happened:
    cost = sum(move.equivalents or 0.0 for move in moves)
    run.countable = run.countable and run.price is not None
    run.extra += cost
    lengths = [move.displacement if move.kept else 0.0 for move in moves]
    return Happened(run.step, lengths, cost, floor=floor)


def _ahead(run: Run, place: int, start: nn.Module, state: Any) -> dict[str, Any]:
    """Training losses some plain steps on, from before and from after the teleports."""

    def following() -> Iterator[Batch]:
        seed = run.study.seed("order", run.trial["seed"], run.epochs)
        return islice(run.study.task.batches.epoch(seed), place, None)

    now = run.optimizer.state_dict()
    return {
        "horizon": run.study.settings.horizon,
        "ahead_without": run.ahead(start, state, following()),
        "ahead_with": run.ahead(copy.deepcopy(run.model), now, following()),
    }


def say(run: Run, moves: list[Move], ahead: dict[str, Any]) -> None:
    """A record of every move; ``ahead`` goes into the last."""
    for number, move in enumerate(moves):
        last = ahead if number == len(moves) - 1 else {}
        run.record(
            "teleport",
            f"{run.step}-{number}",
            epoch=run.epochs,
            step=run.step,
            batch=number,
            **move.facts(),
            **last,
        )


class Look:
    """Takes note of every move between two batches, the clock standing still.

    Losses are taken before the first move and after the last: each takes longer than a move.
    """

    def __init__(self, run: Run) -> None:
        self.moves: list[Move] = []
        self._run = run
        self._from: list[Any] = []
        self._begun = 0.0

    def asked(self) -> None:
        """The next batch is asked for: what came before is over."""
        with self._run.watch.standing():
            self.close()
            if len(self.moves) < self._run.study.task.point.b:  # a guard asks for one more
                self._from = values(self._run.model)
                self.moves.append(Move(""))
                if len(self.moves) == 1:
                    self.moves[0].before = self._losses()
                self._begun = self._run.watch.seconds

    def close(self, *, last: bool = False) -> None:
        """End the move that is open, if there is one; with the last the moment ends."""
        if self._from:
            move = self.moves[-1]
            move.seconds = self._run.watch.seconds - self._begun
            self._run.teleport_seconds += move.seconds
            move.displacement = distance(self._from, values(self._run.model))
            self._from = []
        if last and self.moves:
            self.moves[-1].after = self._losses()

    def _losses(self) -> tuple[float | None, float | None]:
        return self._run.study.evaluation.of(self._run.model)[:2]
