"""Talk with a worker: one command, then its events until it is done; another worker if it dies."""

from collections.abc import Callable, Iterator
from typing import Any

from bench.errors import RunError
from bench.process.protocol import Message
from bench.process.worker import Worker, WorkerGoneError


class Conversation:
    """One worker at a time, launched when it is first needed and again after one is lost.

    Whoever measures holds one of these for each worker that is to work beside others; nothing is
    shared between them.
    """

    def __init__(self, launch: Callable[[], Worker], silence: float) -> None:
        """``launch`` starts a worker that may be silent for so many seconds, not longer."""
        self._launch = launch
        self._silence = silence
        self._worker: Worker | None = None
        self._is_ready = False
        self._waits = False
        self._unread = ""

    def start(self) -> None:
        """Launch a worker, in place of the one there is; ``ready`` waits for it.

        Raises:
            RunError: it cannot be launched.
        """
        self.end()
        self._worker = self._launch()

    def ready(self) -> list[str]:
        """Wait until the worker is there; the commands it knows, none where it does not tell.

        Raises:
            WorkerGoneError: it ended.
        """
        if self._worker is None:
            self.start()
        assert self._worker is not None
        try:
            message = self._worker.receive(self._silence)
        except WorkerGoneError:
            self.kill()
            raise
        self._is_ready, self._waits = True, bool(message.get("waits"))
        return list(message.get("commands", ()))

    def ask(self, command: Message) -> Iterator[Message]:
        """Send a command; yield its events until it is done. They must be read to the end.

        What an event comes to is in the journal when the next one is asked for, and a worker that
        waits for that after each cell is told so. One that retires is ended after it said so.

        Raises:
            WorkerGoneError: the worker ended or hung; the next command goes to another one.
        """
        if self._unread:
            raise RuntimeError(f"expected every event of {self._unread!r} to be read first")
        if not self._is_ready:
            self.ready()
        assert self._worker is not None
        worker, self._unread = self._worker, command["do"]
        try:
            worker.send(command)
            while (message := worker.receive(self._silence))["event"] != "done":
                yield message
                if message["event"] == "retire":
                    self.kill()
                    return
                if message["event"] == "cell" and self._waits:
                    worker.send({"do": "kept"})
        except WorkerGoneError:
            self.kill()
            raise
        self._unread = ""

    def environment(self, device: str, threads: int | None) -> tuple[str, dict[str, Any]]:
        """The device, "auto" resolved, and what the worker says of its surroundings.

        Raises:
            RunError: it could not say.
            WorkerGoneError: it ended or hung.
        """
        found: Message | None = None
        reason = "expected the worker to describe its environment; it said nothing"
        for message in self.ask({"do": "environment", "device": device, "threads": threads}):
            if message["event"] == "environment":
                found = message
            elif message["event"] == "failed":
                reason = message["reason"]
        if found is None:
            raise RunError(reason)
        return found["device"], found["environment"]

    def end(self) -> None:
        """Ask the worker to end."""
        if self._worker is not None:
            self._worker.stop()
        self._forget()

    def kill(self) -> None:
        """End the worker at once."""
        if self._worker is not None:
            self._worker.kill()
        self._forget()

    def _forget(self) -> None:
        self._worker, self._is_ready, self._unread = None, False, ""
