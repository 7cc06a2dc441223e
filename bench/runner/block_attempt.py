"""One try at the cells of a block in one worker: what its events come to."""

import secrets
from collections.abc import Callable

from bench.errors import JournalError
from bench.process.protocol import Message
from bench.process.worker import WorkerGoneError
from bench.spec.variants import SGD
from bench.storage.records import CellRecord, ReferenceRecord, made

_UNKNOWN_PEAK = "peak memory is not known: "
_UNKNOWN_CALLS = "whole calls are not timed: "


class Attempt:
    """Turns events into finished records, each kept as soon as it is one.

    Samples pair up only within one attempt, which every record names as its ``session``.
    """

    def __init__(
        self, base: Message, cells: list[Message], keep: Callable[[CellRecord], None]
    ) -> None:
        """``keep`` is called with every finished record."""
        self.cells = cells
        self.records: dict[str, CellRecord] = {}
        self._base = {**base, "session": secrets.token_hex(6)}
        self._by_id = {cell["cell_id"]: cell for cell in cells}
        self._samples: dict[str, list[Message]] = {cell_id: [] for cell_id in self._by_id}
        self._timed: dict[str, Message] = {}
        self._working_on: str | None = None
        self._retired = False
        self._keep = keep

    def take(self, message: Message) -> None:
        """Note an event."""
        kind = message["event"]
        if kind == "note":
            self._working_on = message["cell_id"]
        elif kind == "sample":
            self._samples[message["cell_id"]] += message["samples"]
        elif kind == "timed":
            self._timed[message["cell_id"]] = message
        elif kind == "cell":
            self._close(message["cell_id"], message)
        elif kind == "retire":
            self._retired = True
            self.leave(message["reason"])
        elif kind == "failed":
            self._close_rest({"status": message["status"], "reason": message["reason"]})

    def lose(self, gone: WorkerGoneError) -> None:
        """The worker is gone: the cell it was working on is to blame, the others are innocent.

        A worker that was lost before it worked on any cell cannot build the block: that is the
        end of all of them.
        """
        if self._timed:
            self.leave(gone.reason)
        elif self._working_on is None:
            self._close_rest(gone.facts())
        elif self._working_on not in self.records:
            self._close(self._working_on, gone.facts())
        elif not self.records:
            self._close_rest(gone.facts())

    def end(self) -> None:
        """The worker is done with the command."""
        if not self._retired or not self.records:
            self._close_rest(
                {"status": "crashed", "reason": "the worker said nothing about this cell"}
            )

    def leave(self, reason: str) -> None:
        """What has its samples is measured, whatever of the rest had been said before."""
        for cell_id, facts in self._timed.items():
            if cell_id not in self.records:
                unknown = {"memory_note": _UNKNOWN_PEAK + reason}
                if self._by_id[cell_id]["method"] != SGD.method:
                    unknown["call_note"] = _UNKNOWN_CALLS + reason
                self._close(cell_id, unknown | facts)

    def _close_rest(self, facts: Message) -> None:
        self.leave(str(facts["reason"]))
        for cell_id in self._by_id:
            if cell_id not in self.records:
                self._close(cell_id, facts)

    def _close(self, cell_id: str, facts: Message) -> None:
        cell = self._by_id[cell_id]
        kind = ReferenceRecord if cell.get("reference") else CellRecord
        known = {**self._base, **cell, "status": "crashed"}
        try:
            record = made({**known, "samples": self._samples[cell_id], **facts}, kind)
        except JournalError as error:
            record = made({**known, "reason": str(error)}, kind)
        self.records[cell_id] = record
        self._keep(record)
