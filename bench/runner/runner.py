"""Carry out a plan: one worker after another, every finished cell in the journal at once."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from bench.errors import RunError
from bench.plan.units import PLACE, Unit, with_reference
from bench.process.conversation import Conversation
from bench.process.local import WorkerProcess
from bench.process.protocol import Message
from bench.process.worker import Worker, WorkerGoneError
from bench.runner.block_attempt import Attempt
from bench.runner.progress import Progress
from bench.runner.unit_attempt import UnitAttempt
from bench.spec.spec import Spec
from bench.storage.journal import NAME, Journal, read
from bench.storage.records import CellRecord, Record, plain

# Between two signs of life; the slowest sample of the largest preset takes minutes.
SILENCE_SECONDS = 1800.0

Spared = Callable[[WorkerGoneError], bool]


class Keeper(Protocol):
    """Where records are kept: a journal, or who looks at them first."""

    path: Path

    def append(self, *records: Record) -> None:
        """Keep records."""


def _nothing(_gone: WorkerGoneError) -> bool:
    """A worker that is gone fails what it was working on."""
    return False


@dataclass
class Summary:
    """What came out of a run."""

    statuses: Counter[str] = field(default_factory=Counter)  # how many cells ended in each
    left: int = 0  # units that were not begun because the budget was spent
    flagged: int = 0  # cells that were measured while something was not as it should be
    failed_before: int = 0  # records of an earlier session, which was resumed, that failed

    @property
    def complete(self) -> bool:
        """Every cell was measured and is fine."""
        return not (self.left or self.failed_before) and set(self.statuses) <= {"ok"}


class Runner:
    """Runs units on a worker and replaces the worker when it dies."""

    def __init__(
        self,
        progress: Progress,
        launch: Callable[[], Worker] = WorkerProcess,
        silence: float = SILENCE_SECONDS,
    ) -> None:
        """``launch`` starts a worker; one that is silent for so many seconds is replaced."""
        self._progress = progress
        self._worker = Conversation(launch, silence)

    def environment(self, device: str, threads: int | None) -> tuple[str, dict[str, Any]]:
        """Ask the worker what it runs on; the device "auto" is resolved.

        Raises:
            RunError: the worker could not say.
        """
        try:
            return self._worker.environment(device, threads)
        except WorkerGoneError as gone:
            raise RunError(f"expected a worker that starts; {gone.reason}") from gone

    def check(self, spec: Spec, units: list[Unit]) -> None:
        """Refuse a run whose methods do not exist, or of which no block could be built.

        What else goes wrong is its cells' matter.

        Raises:
            RunError: what is wrong with a method, or why the first block cannot be built, or the
                first unit where none is timed.
        """
        places: list[Message] = []
        for unit in [unit for unit in units if unit.is_block] or units:
            place = {name: unit.command.get(name) for name in PLACE}
            if place not in places:
                places.append(place)
        named = [variant for unit in units for variant in unit.command.get("variants", ())]
        variants = dict.fromkeys([*map(str, (*spec.variants, *spec.preservation.variants)), *named])
        refusal = ""
        try:
            command = {"do": "check", "variants": [*variants], "places": places}
            for message in self._worker.ask(command):
                if message["event"] == "refused":
                    refusal = message["reason"]
        except WorkerGoneError as gone:
            if ":" in spec.model:  # a function of the user's is imported here, and no more
                refusal = f"expected to import the model {spec.model!r}; {gone.reason}"
        if refusal:
            raise RunError(refusal)

    def ask(self, command: Message) -> list[Message]:
        """What the worker answers to a command that measures nothing.

        Raises:
            WorkerGoneError: it ended or hung.
        """
        return list(self._worker.ask(command))

    def roofline(self, spec: Spec) -> dict[str, Any]:
        """Ask the worker what the machine can do at most, at the spec's base width and batch.

        A machine that cannot be measured so is named in the answer; a run does without.
        """
        facts = {name: getattr(spec, name) for name in ("device", "dtype", "threads")}
        command = {"do": "roofline", **facts, "d": spec.base["d"], "n": spec.base["n"]}
        found: dict[str, Any] = {}
        try:
            for message in self._worker.ask(command):
                if message["event"] == "environment":
                    found = message["environment"]
                elif message["event"] == "failed":
                    found = {"roofline_failed": message["reason"]}
        except WorkerGoneError as gone:
            found = {"roofline_failed": gone.reason}
        return found

    def estimate(self, units: list[Unit]) -> float | None:
        """Seconds for units beside the clock, as the worker finds by trying each kind of them.

        None where they cannot be carried out here.
        """
        kinds: dict[str, tuple[Message, int]] = {}
        for unit in units:
            first, count = kinds.get(unit.kind, (unit.command, 0))
            kinds[unit.kind] = (first, count + 1)
        found: float | None = None
        try:
            for message in self._worker.ask({"do": "estimate", "units": list(kinds.values())}):
                if message["event"] == "environment":
                    found = message["environment"]["seconds"]
        except WorkerGoneError:
            return None
        return found

    def run(self, units: list[Unit], journal: Journal, budget: float | None) -> Summary:
        """Carry out every unit; no new one is begun once ``budget`` seconds are spent."""
        summary = Summary()
        started = monotonic()
        self._progress.begin(units)
        try:
            for number, unit in enumerate(units):
                begun = monotonic()
                if budget is not None and begun - started >= budget:
                    summary.left = len(units) - number
                    break
                records = self.carry_out(unit, journal)
                summary.statuses.update(record.status for record in records)
                summary.flagged += sum(
                    isinstance(record, CellRecord) and bool(record.flags) for record in records
                )
                self._progress.unit(unit, records, monotonic() - begun)
        finally:
            self._progress.end()
        return summary

    def carry_out(self, unit: Unit, journal: Keeper, spared: Spared = _nothing) -> Sequence[Record]:
        """Carry out one unit; its records are kept as they come.

        Raises:
            WorkerGoneError: the worker is gone, and its unit is ``spared``: nobody is blamed for
                what had not been measured by then.
        """
        carry_out = self._block if unit.is_block else self._beside
        return carry_out(unit, journal, spared)

    def close(self) -> None:
        """End the worker."""
        self._worker.end()

    def abort(self) -> None:
        """Kill the worker at once."""
        self._worker.kill()

    def _block(self, unit: Unit, journal: Keeper, spared: Spared) -> Sequence[Record]:
        """Measure a block; cells that outlive a worker's death go to the next worker."""
        cells = unit.command["cells"]
        wanted = [cell["cell_id"] for cell in cells if not cell.get("reference")]
        records: dict[str, CellRecord] = {}
        while any(cell_id not in records for cell_id in wanted):
            missing = [cell for cell in cells if cell["cell_id"] not in records]
            attempt = Attempt(unit.base, with_reference(missing, cells), journal.append)
            try:
                for message in self._worker.ask({**unit.command, "cells": attempt.cells}):
                    attempt.take(message)
            except WorkerGoneError as gone:
                if spared(gone):
                    attempt.leave(gone.reason)
                    raise
                attempt.lose(gone)
            else:
                attempt.end()
            records |= attempt.records
        return [records[cell_id] for cell_id in wanted]

    def _beside(self, unit: Unit, journal: Keeper, spared: Spared) -> Sequence[Record]:
        """Carry out a unit that is not timed; what it measured before it failed stays."""
        attempt = UnitAttempt(unit, journal.append)
        try:
            for message in self._worker.ask(_with_given(unit, journal)):
                attempt.take(message)
        except WorkerGoneError as gone:
            if spared(gone):
                raise
            attempt.lose(gone)
        return attempt.records


def _with_given(unit: Unit, journal: Keeper) -> Message:
    """The command of a unit, with the run directory and the records it needs, whoever has them."""
    known = read(journal.path.with_name(NAME)) if unit.needs else []
    given = [plain(record) for record in known if record.unit in unit.needs]
    return {**unit.command, "run": str(journal.path.parent), "given": given}
