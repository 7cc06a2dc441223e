"""All trials of one optimizer and seed: an epoch of each in turn, each time in another order."""

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any

from bench.plan.points import Point
from bench.problems.datasets import load_dataset
from bench.process.protocol import Message
from bench.storage.records import made
from bench.storage.training_records import TrialRecord
from bench.timing.foreign_load import ForeignLoad
from bench.timing.rounds import settled
from bench.trainer.checkpoints import Checkpoints
from bench.trainer.data import task_of
from bench.trainer.equivalents import Price, price_of
from bench.trainer.evaluation import Evaluation
from bench.trainer.moments.moment import carry_out
from bench.trainer.run import Run, Study
from bench.trainer.warm_up import warm_up
from bench.training.arms import PAIRED, all_arms, paired_arm
from bench.training.moments import check_within, parse_moments
from bench.training.settings import Training
from bench.training.trials import lr_source
from bench.training.tuning import chosen_lr

Emit = Callable[[Message], None]
Explain = Callable[[Exception], tuple[str, str]]

_OPEN = 2**31 - 1  # "of" of a record that more will follow


class Unit:
    """Carries a command of the runner out."""

    def __init__(self, command: Message, emit: Emit, explain: Explain) -> None:
        """``explain`` says of an exception which status it is, and why, in words."""
        self._command, self._emit, self._explain = command, emit, explain
        self._done = set(command.get("done", ()))
        self._kept = Checkpoints(Path(command["run"]), command["unit"])
        settings = Training(**command["settings"])
        self._arms = {arm.name: arm for arm in all_arms(settings.arms)}
        self._paired = paired_arm(list(self._arms.values()))
        self._study = self._made(settings)
        self._said: set[str] = set()

    def run(self) -> None:
        """From the first evaluation, or where it was left, to the last record."""
        runs = self._runs()
        warm_up([run for run in runs if run.outcome == "running"])
        with settled():
            for epoch in range(self._study.settings.epochs):
                self._round(epoch, runs)
        for run in runs:
            if run.outcome == "running":
                run.end("finished")
        self._close(runs)
        self._kept.remove()

    def _made(self, settings: Training) -> Study:
        command, point = self._command, Point(**self._command["point"])
        root, where = command["seed"], command["data_dir"]
        known = ":" in point.model
        data = None if known else load_dataset(point.dataset, Path(where) if where else None)
        task = task_of(point, settings, root, data, bias=command["bias"])
        moments = parse_moments(settings.schedule)
        check_within(moments, settings.epochs, task.batches.steps)
        evaluation = Evaluation(task.loss_fn, *task.batches.evaluated())
        watched = self._paired.name if self._paired and "lr-gain" in self._arms else None
        return Study(task, settings, moments, evaluation, self._prices(task, point), watched)

    def _prices(self, task: Any, point: Point) -> dict[str, Price | None]:
        names = {trial["arm"] for trial in self._command["trials"]}
        batch = next(task.batches.teleports(0, point.n))
        training = next(task.batches.epoch(0))
        found: dict[str, Price | None] = {}
        for name in names:
            arm = self._arms[name]
            if arm.variant is not None:
                try:
                    found[name] = price_of(arm, task, point.t, training, batch)
                except Exception:  # the trial itself says what is wrong
                    found[name] = None
        if self._paired is not None:
            found["random"] = found.get(self._paired.name)  # it stands for the same work
        return found

    def _runs(self) -> list[Run]:
        given = [
            made(line, TrialRecord) for line in self._command["given"] if line["kind"] == "trial"
        ]
        runs = [run for trial in self._command["trials"] if (run := self._run(trial, given))]
        for run in runs:
            if not self._kept.read(run):
                run.interruptions += bool(self._done)
                run.begin()
            self._say(run)
        return runs

    def _run(self, trial: Message, given: list[TrialRecord]) -> Run | None:
        """A trial with its learning rate; one that has none, or cannot begin, is over."""
        arm = self._arms[trial["arm"]]
        facts = {**trial, "at_edge": False}
        try:
            if trial["lr"] is None:
                lr, at_edge = chosen_lr(lr_source(arm), given)
                facts |= {"lr": lr, "at_edge": at_edge}
            return Run(facts, arm, self._study)
        except Exception as error:
            status, reason = self._explain(error)
            failure = {**facts, "lr": facts["lr"] or 0.0, "outcome": "failed"}
            self._record(
                {
                    **failure,
                    "kind": "trial",
                    "status": status,
                    "reason": reason,
                    "cell_id": trial["trial_id"],
                }
            )
            return None

    def _round(self, epoch: int, runs: list[Run]) -> None:
        """An epoch of each; who does as another did comes after it."""
        waiting = [run for run in runs if run.outcome == "running" and run.epochs == epoch]
        seeds = (self._command["trials"][0]["seed"], epoch)
        Random(self._study.seed("turns", *seeds)).shuffle(waiting)
        before = {id(run): len(run.records) for run in waiting}
        others = ForeignLoad()
        for run in sorted(waiting, key=lambda run: run.arm.name in PAIRED):
            self._emit({"event": "note", **run.trial, "cell_id": run.trial["trial_id"]})
            try:
                self._epoch(run, self._partner(run, runs))
            except Exception as error:
                self._fail(run, error)
        flagged = bool(others.flags())
        for run in waiting:
            if flagged:
                run.note_load(before[id(run)])
            self._kept.write(run)
            self._say(run)

    def _epoch(self, run: Run, partner: Run | None) -> None:
        batches = self._study.task.batches.epoch(
            self._study.seed("order", run.trial["seed"], run.epochs)
        )
        moments = self._study.moments
        for place, batch in run.epoch(batches):
            if (run.epochs in moments.epochs and place == 0) or run.step in moments.steps:
                carry_out(run, place, batch, partner)

    def _partner(self, run: Run, runs: list[Run]) -> Run | None:
        """The paired arm of a control, by the same rule."""
        if self._paired is None or run.arm.name not in PAIRED:
            return None
        rule, name = run.trial["lr_rule"], self._paired.name
        found = (r for r in runs if r.arm.name == name and r.trial["lr_rule"] == rule)
        return next(found, None)

    def _fail(self, run: Run, error: Exception) -> None:
        status, reason = self._explain(error)
        if self._study.evaluation.train_loss(run.model) is None:
            run.end("diverged")
        else:
            run.end("failed", status=status, reason=reason)

    def _close(self, runs: Iterable[Run]) -> None:
        """How each trial ended; the last record says how many there are."""
        ends = [self._end(run) for run in runs]
        total = len(self._said | {end["cell_id"] for end in ends})
        for end in ends:
            self._record({**end, "of": total}, last=True)

    def _end(self, run: Run) -> Message:
        curve = [record for record in run.records if record["kind"] == "training"]
        losses = {name: curve[-1][name] for name in ("train_loss", "test_loss")}
        facts = {"outcome": run.outcome, "steps": run.step, **losses, **run.ending}
        return {"kind": "trial", "cell_id": run.trial["trial_id"], **run.trial, **facts}

    def _say(self, run: Run) -> None:
        for record in run.records:
            self._record(record)

    def _record(self, record: Message, *, last: bool = False) -> None:
        """Say a record once; one that the journal has is not said again."""
        cell_id = record["cell_id"]
        if cell_id in self._said:
            return
        self._said.add(cell_id)
        if cell_id not in self._done or last:
            whole = {"status": "ok", "reason": "", "of": _OPEN, **record}
            self._emit({"event": "record", "record": whole})
