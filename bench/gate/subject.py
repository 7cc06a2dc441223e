"""What one side of a gate measures: a source tree of ours, or a model in one of a user's."""

from dataclasses import dataclass
from pathlib import Path

from bench.process.local import WorkerProcess
from bench.process.protocol import Message
from bench.process.source_tree import SourceTree
from bench.process.worker import Worker


@dataclass(frozen=True)
class Subject:
    """A source tree and the benchmark that measures it.

    A tree of this project is measured by its own: ``root`` and ``benchmark`` are the same. A model
    of the user's is measured by the benchmark that runs, and ``imports`` says where its modules are
    from; the worker knows it as ``model``. ``absent`` says why a tree has no such model.
    """

    root: Path
    benchmark: Path
    imports: SourceTree | None = None
    model: str = ""
    absent: str = ""

    def asked(self, command: Message) -> Message:
        """A command on a block as the worker of this tree has to be told it."""
        if not self.model:
            return command
        return {**command, "point": {**command["point"], "model": self.model}}


def launched(subject: Subject) -> Worker:
    """A worker process on a subject; a model's factory is called in the root of its tree."""
    if subject.imports is None:
        return WorkerProcess(subject.benchmark)
    return WorkerProcess(subject.benchmark, subject.imports.variables(), subject.root)
