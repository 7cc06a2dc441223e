"""One try at a unit that is not timed: every record is kept as it comes, a failure comes after."""

from collections.abc import Callable

from bench.errors import JournalError
from bench.plan.units import Unit
from bench.process.protocol import Message
from bench.process.worker import WorkerGoneError
from bench.storage.records import Record, made, struct_of


class UnitAttempt:
    """Turns events into records.

    A record without an id gets one from its place in the unit, so that a unit that is carried out
    again replaces what it left half done.
    """

    def __init__(self, unit: Unit, keep: Callable[[Record], None]) -> None:
        """``keep`` is called with every record."""
        self.records: list[Record] = []
        self._unit = unit
        self._keep = keep
        self._working_on: Message = {"cell_id": unit.cell_ids[0]}
        self._said = 0
        self._failed = False

    def take(self, message: Message) -> None:
        """Note an event."""
        kind = message["event"]
        if kind == "note":
            self._working_on = message
        elif kind == "record":
            self._record(message["record"])
        elif kind == "failed":
            self._fail({"status": message["status"], "reason": message["reason"]})

    def lose(self, gone: WorkerGoneError) -> None:
        """The worker is gone: what it said before stays."""
        self._fail(gone.facts())

    def _record(self, said: Message) -> None:
        self._said += 1
        facts = {"cell_id": f"{self._unit.unit}-{self._said}", **self._unit.base, **said}
        try:
            self._add(facts)
        except JournalError as error:
            self._fail({"status": "crashed", "reason": str(error)})

    def _fail(self, failure: Message) -> None:
        """One record for the failure, which ends the unit, with an id that no other has."""
        if self._failed:
            return
        self._failed = True
        facts = {**self._unit.base, **self._working_on, **failure, "of": None}
        if facts["cell_id"] in {record.cell_id for record in self.records}:
            facts["cell_id"] = self._unit.unit
        try:
            self._add(facts)
        except JournalError:
            self._add({**facts, "kind": "failure"})

    def _add(self, facts: Message) -> None:
        kind = struct_of(facts["kind"])
        if kind is None:
            raise JournalError(
                f"expected a kind of record that a measurement names in its records; got "
                f"{facts['kind']!r}: add it there"
            )
        self._keep(record := made(facts, kind))
        self.records.append(record)
