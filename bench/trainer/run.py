"""One trial as it is carried out: a model, its optimizer, its clock, and the records so far."""

import copy
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

import torch
from torch import nn

from bench.problems.factory import Batch
from bench.problems.optimizers import optimizer_for
from bench.process.protocol import Message
from bench.trainer.moments.moves import Happened, perturb
from bench.trainer.rates import lr_factor, set_lr
from bench.trainer.steps import backward, norm_of, take_step
from bench.trainer.stopwatch import Stopwatch
from bench.trainer.study import Study
from bench.training.arms import Arm

_JITTER = 1e-6


class Run:
    """A trial between two of its epochs can be kept and taken up again: see ``checkpoints``."""

    def __init__(self, trial: Message, arm: Arm, study: Study) -> None:
        self.trial, self.arm, self.study = trial, arm, study
        self.task = study.task_of(arm)
        self.model = self.task.model(trial["seed"])
        if arm.name == "jitter":
            perturb(self.model, study.seed("jitter", trial["seed"]), relative=_JITTER)
        self.optimizer = optimizer_for(trial["optimizer"], self.model.parameters(), trial["lr"])
        self.price = study.price(arm)
        self.watch = Stopwatch(study.task.point.device)
        self.records: list[Message] = []
        self.epochs = self.step = self.busy = self.interruptions = 0
        self.teleport_seconds = self.extra = 0.0
        self.countable = True
        self.happened: dict[int, Happened] = {}  # step of a moment -> what it came to
        self.boosted = (1.0, 0)  # a factor of the learning rate, and the step at which it ends
        self.outcome = "running"
        self.ending: Message = {}
        self.cosines: list[float] = []  # of the latest step, where there are several tasks
        self._unit = self._first_norm() if arm.normalised else 0.0

    def begin(self) -> None:
        """The evaluation before the first step."""
        self._evaluate(0.0)

    def epoch(self, batches: Iterator[Batch]) -> Iterator[tuple[int, Batch]]:
        """Train an epoch; yields place and batch before each step, the clock running."""
        settings, steps = self.study.settings, self.study.task.batches.steps
        number = self.epochs
        shared = self.study.seed("draws", self.trial["seed"], number)
        torch.manual_seed(shared)  # dropout falls alike in all arms
        places = {
            round(steps * part / settings.evaluations)
            for part in range(1, settings.evaluations + 1)
        }
        self.watch.start()
        try:
            for place, batch in enumerate(batches):
                yield place, batch
                self.train(batch)
                if place + 1 in places:
                    with self.watch.standing():
                        self._evaluate(number + (place + 1) / steps)
                    if self.outcome != "running":
                        return
        finally:
            self.watch.stop()
        self.epochs = number + 1

    def train(self, batch: Batch, *, extra: bool = False) -> None:
        """A training step; an extra one is not of the schedule."""
        settings, batches = self.study.settings, self.study.task.batches
        factor = lr_factor(settings, self.step, settings.epochs * batches.steps)
        boost = self.boosted[0] if self.step < self.boosted[1] else 1.0
        set_lr(self.optimizer, self.trial["lr"] * factor * boost)
        self.cosines = take_step(self.task, self.model, self.optimizer, batch, self._rescale)
        if extra:
            self.extra += 1
        else:
            self.step += 1

    def facts(self) -> Message:
        """What goes into a checkpoint besides tensors."""
        happened = [asdict(each) for each in self.happened.values()]
        names = ("epochs", "step", "busy", "interruptions", "teleport_seconds", "extra", "cosines")
        plain = {name: getattr(self, name) for name in (*names, "countable", "outcome", "ending")}
        kept = {"seconds": self.watch.seconds, "boosted": list(self.boosted)}
        return {**plain, **kept, "happened": happened, "records": self.records}

    def take_up(self, facts: Message) -> None:
        """Go on where a checkpoint was written."""
        happened, boosted = facts.pop("happened"), facts.pop("boosted")
        self.watch = Stopwatch(self.study.task.point.device, facts.pop("seconds"))
        for name, value in facts.items():
            setattr(self, name, value)
        self.happened = {each["step"]: Happened(**each) for each in happened}
        self.boosted = (boosted[0], boosted[1])
        self.interruptions += 1

    def note_load(self, since: int) -> None:
        """Others used the machine while the records from ``since`` on were made."""
        self.busy += 1
        for record in self.records[since:]:
            if record["kind"] == "training":
                record["busy_epochs"] = self.busy

    def record(self, kind: str, cell: str, **facts: Any) -> None:
        """Add a record of this trial."""
        cell_id = f"{self.trial['trial_id']}-{cell}"
        self.records.append({"kind": kind, "cell_id": cell_id, **self.trial, **facts})

    def end(self, outcome: str, **facts: Any) -> None:
        """The trial is over."""
        self.outcome, self.ending = outcome, facts

    def ahead(self, twin: nn.Module, state: Any, batches: Iterator[Batch]) -> float | None:
        """The training loss of a copy after ``horizon`` plain steps; nothing of the trial moves."""
        optimizer = optimizer_for(self.trial["optimizer"], twin.parameters(), self.trial["lr"])
        optimizer.load_state_dict(copy.deepcopy(state))
        with torch.random.fork_rng():
            for batch in islice(batches, self.study.settings.horizon):
                take_step(self.task, twin, optimizer, batch, self._rescale)
        return self.study.evaluation.train_loss(twin)

    def gradient_norm(self, batch: Batch) -> float:
        """On a copy, whose buffers may change."""
        twin = copy.deepcopy(self.model)
        with torch.random.fork_rng():
            backward(self.task, twin, batch)
        return norm_of(twin)

    def _rescale(self, model: nn.Module) -> None:
        """What is done with a gradient before it is used."""
        if self.arm.normalised:
            scale = self._unit / max(norm_of(model), 1e-30)
            for p in model.parameters():
                if p.grad is not None:
                    p.grad.mul_(scale)
        if model is self.model and self.arm.name == self.study.watched and self.happened:
            happened = self.happened[max(self.happened)]
            if not happened.over:
                with self.watch.standing():
                    happened.watch(norm_of(model))

    def _first_norm(self) -> float:
        """The gradient norm at the start: the length of a normalised step is lr times this."""
        first = next(self.study.task.batches.epoch(self.study.seed("order", self.trial["seed"], 0)))
        return self.gradient_norm(first)

    def _evaluate(self, epoch: float) -> None:
        losses = self.study.evaluation.of(self.model)
        equivalents = self.step + self.extra if self.countable else None
        self.record(
            "training",
            str(self.step),
            epoch=epoch,
            step=self.step,
            train_seconds=self.watch.seconds,
            teleport_seconds=self.teleport_seconds,
            gradient_equivalents=equivalents,
            busy_epochs=self.busy,
            interruptions=self.interruptions,
            conflict_cosines=self.cosines or None,
            **losses._asdict(),
        )
        if losses.train_loss is None:
            self.end("diverged")
