"""One side of a gate: a worker on one source tree, asked for turns and replaced when it dies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.errors import NotComparableError, RunError
from bench.gate.subject import Subject
from bench.plan.units import Unit
from bench.process.conversation import Conversation
from bench.process.protocol import Message
from bench.process.worker import Worker, WorkerGoneError

# Between two signs of life; a gate's cells are small.
SILENCE_SECONDS = 300.0
_NEEDED = {"open", "turn", "environment"}

Launch = Callable[[Subject], Worker]


@dataclass
class Lane:
    """The worker of one source tree, "base" or "head", and what became of its cells.

    ``failures`` has status and reason of each cell that can be asked for no more turns.
    """

    name: str
    subject: Subject
    launch: Launch
    failures: dict[str, tuple[str, str]] = field(default_factory=dict)
    _conversation: Conversation = field(init=False)
    _opened: list[Unit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._conversation = Conversation(lambda: self.launch(self.subject), SILENCE_SECONDS)

    def start(self) -> None:
        """Launch a worker; ``ready`` waits for it; RunError: it cannot be launched."""
        self._opened = []
        self._conversation.start()

    def ready(self) -> None:
        """Wait until the worker is there.

        Raises:
            NotComparableError: it does not speak what a gate needs.
            WorkerGoneError: it ended.
        """
        missing = sorted(_NEEDED - set(self._conversation.ready()))
        if missing:
            raise NotComparableError(
                f"expected a worker in {self.name} that knows the commands {', '.join(missing)}; "
                "it is older than the gate: choose a later --base, or measure both revisions with "
                "'run --out' and compare the directories"
            )

    def environment(self, device: str, threads: int | None) -> tuple[str, dict[str, Any]]:
        """The device, "auto" resolved, and what the worker says of its surroundings."""
        try:
            return self._conversation.environment(device, threads)
        except RunError as error:
            raise RunError(f"{self.name}: {error}") from error

    def open(self, unit: Unit) -> None:
        """Build a block; cells that fail are noted in ``failures``."""
        if self.subject.absent:
            failed = "skipped", self.subject.absent
            self.failures.update({cell["cell_id"]: failed for cell in unit.command["cells"]})
            return
        self._opened.append(unit)
        self._open(unit)

    def turn(self, cell_id: str, calls: int) -> list[Message]:
        """The samples of ``calls`` calls in a row; none if the cell failed."""
        samples: list[Message] = []
        try:
            for message in self._ask({"do": "turn", "cell_id": cell_id, "calls": calls}):
                if message["event"] == "sample":
                    samples += message["samples"]
                else:
                    self._take(message, [cell_id])
        except WorkerGoneError as gone:
            self._blame([cell_id], gone)
            return []
        return samples

    def kill(self) -> None:
        """End the worker at once."""
        self._conversation.kill()

    def _ask(self, command: Message) -> Iterator[Message]:
        for message in self._conversation.ask(command):
            if message["event"] == "retire":
                raise WorkerGoneError("crashed", message["reason"])
            yield message

    def _take(self, message: Message, cells: list[str]) -> None:
        """Note what became of cells."""
        kind = message["event"]
        if kind == "cell":
            self.failures[message["cell_id"]] = message["status"], message["reason"]
        elif kind == "failed":
            self.failures.update(dict.fromkeys(cells, (message["status"], message["reason"])))
        elif kind == "opened":
            self._check_sources(message)

    def _check_sources(self, message: Message) -> None:
        """Refuse a worker that runs other code than that of its tree."""
        benchmark = self.subject.benchmark
        if message["sources"] != [str(benchmark.resolve())]:
            raise NotComparableError(
                f"expected {self.name} to run the code in {benchmark}; it imported from "
                f"{', '.join(message['sources'])}: a package is missing in that tree"
            )
        if message.get("strays"):
            raise NotComparableError(
                f"expected {self.name} to import its own revision; it took from the working tree "
                f"{', '.join(message['strays'])}: put what they belong to in src or in the root of "
                "the repository, or take it off PYTHONPATH"
            )

    def _open(self, unit: Unit) -> None:
        cells = [c for c in unit.command["cells"] if c["cell_id"] not in self.failures]
        if not cells:
            return
        ids = working_on = [cell["cell_id"] for cell in cells]
        try:
            for message in self._ask(
                {**self.subject.asked(unit.command), "do": "open", "cells": cells}
            ):
                if message["event"] == "note":
                    working_on = [message["cell_id"]]
                self._take(message, ids)
        except WorkerGoneError as gone:
            self._blame(working_on, gone)

    def _blame(self, cells: list[str], gone: WorkerGoneError) -> None:
        """The worker died on these cells: note it, and open what is left in a new one."""
        self.failures.update(dict.fromkeys(cells, (gone.status, gone.reason)))
        blocks = self._opened
        self.kill()
        self.start()
        self.ready()
        self._opened = blocks
        # Every death takes a cell out, so this ends.
        for unit in blocks:
            self._open(unit)
