"""What a worker is to whoever asks it: it takes commands, sends events, and may be gone."""

from typing import Protocol

from bench.process.protocol import Message


class WorkerGoneError(Exception):
    """The worker ended or hung; ``status`` is that of the cell it was working on."""

    def __init__(self, status: str, reason: str, last_lines: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.last_lines = last_lines

    def facts(self) -> Message:
        """As fields of a record."""
        return {"status": self.status, "reason": self.reason, "last_lines": list(self.last_lines)}


class Worker(Protocol):
    """A process, here or elsewhere, that speaks ``bench.process.protocol``."""

    def send(self, command: Message) -> None:
        """Send a command; a worker that is gone is noticed by the next ``receive``."""

    def receive(self, timeout: float) -> Message:
        """The next event; WorkerGoneError: it ended, or was silent for ``timeout`` seconds."""

    def stop(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it at once."""
