"""All trials of one optimizer and seed: an epoch of each in turn, each time in another order."""

from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from time import monotonic

from bench.process.protocol import Message
from bench.storage.records import made
from bench.storage.training_records import TrialRecord
from bench.timing.foreign_load import ForeignLoad
from bench.timing.rounds import settled
from bench.trainer.checkpoints import Checkpoints
from bench.trainer.moments.moment import carry_out
from bench.trainer.run import Run
from bench.trainer.study import study_of
from bench.trainer.warm_up import warm_up
from bench.training.arms import PAIRED
from bench.training.trials import lr_source
from bench.training.tuning import chosen_lr

Emit = Callable[[Message], None]
Explain = Callable[[Exception], tuple[str, str]]

# Of shorter epochs the system's counters do not tell whether others were at work: all of a round.
_TELLING = 1.0
_OPEN = 2**31 - 1  # "of" of a record that more will follow


class Unit:
    """Carries a command of the runner out."""

    def __init__(self, command: Message, emit: Emit, explain: Explain) -> None:
        """``explain`` says of an exception which status it is, and why, in words."""
        self._command, self._emit, self._explain = command, emit, explain
        self._done = set(command.get("done", ()))
        self._kept = Checkpoints(Path(command["run"]), command["unit"])
        self._study = study_of(command)
        self._said: set[str] = set()
        self._lost: list[Message] = []  # how those trials ended that could not begin

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
        arm = self._study.arms[trial["arm"]]
        facts = {**trial, "at_edge": False}
        try:
            if trial["lr"] is None:
                lr, at_edge = chosen_lr(lr_source(arm), given)
                facts |= {"lr": lr, "at_edge": at_edge}
            return Run(facts, arm, self._study)
        except Exception as error:
            status, reason = self._explain(error)
            ended = {"kind": "trial", "cell_id": trial["trial_id"], "outcome": "failed"}
            how = {"lr": facts["lr"] or 0.0, "status": status, "reason": reason}
            self._lost.append({**facts, **ended, **how})
            return None

    def _round(self, epoch: int, runs: list[Run]) -> None:
        """An epoch of each; who does as another did comes after it."""
        waiting = [run for run in runs if run.outcome == "running" and run.epochs == epoch]
        seeds = (self._command["trials"][0]["seed"], epoch)
        Random(self._study.seed("turns", *seeds)).shuffle(waiting)
        short: list[tuple[Run, int]] = []
        meanwhile = ForeignLoad()
        for run in sorted(waiting, key=lambda run: run.arm.name in PAIRED):
            self._emit({"event": "note", **run.trial, "cell_id": run.trial["trial_id"]})
            since, others, begun = len(run.records), ForeignLoad(), monotonic()
            try:
                self._epoch(run, self._partner(run, runs))
            except Exception as error:
                self._fail(run, error)
            if monotonic() - begun >= _TELLING:
                self._keep(run, since, others)
            else:
                short.append((run, since))
        for run, since in short:
            self._keep(run, since, meanwhile)

    def _keep(self, run: Run, since: int, others: ForeignLoad) -> None:
        """Say what the records from ``since`` on are, once they are in a checkpoint."""
        if others.flags():
            run.note_load(since)
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
        paired = self._study.paired
        if paired is None or run.arm.name not in PAIRED:
            return None
        rule, name = run.trial["lr_rule"], paired.name
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
        ends = [*self._lost, *(self._end(run) for run in runs)]
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
