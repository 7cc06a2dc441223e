"""The worker seen from the runner: start it, talk to it, notice that it died or hangs."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from bench.protocol import Message, parse, send

SOURCE_ROOT = Path(__file__).resolve().parents[1]

_GRACE_SECONDS = 5.0
_TAIL_CHARACTERS = 2000


class WorkerGoneError(Exception):
    """The worker ended or hung; ``status`` is that of the cell it was working on."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class WorkerProcess:
    """One worker in a process group of its own, started on a source tree."""

    def __init__(self, root: Path = SOURCE_ROOT, python: str = sys.executable) -> None:
        """Start it; the first message it sends is ``ready``."""
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        # Open as long as the worker lives, and longer: its last lines are read afterwards.
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        # -P: a package of the same name in the present directory must not be imported.
        self._process = subprocess.Popen(
            [python, "-P", "-m", "bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def send(self, command: Message) -> None:
        """Send a command; a worker that is gone is noticed by the next ``receive``."""
        assert self._process.stdin is not None
        # A broken pipe is reported by receive(), which knows how the worker ended.
        with contextlib.suppress(BrokenPipeError):
            send(self._process.stdin, command)

    def receive(self, timeout: float) -> Message:
        """The next event.

        Raises:
            WorkerGoneError: it ended, was silent for ``timeout`` seconds, or spoke nonsense.
        """
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            self.kill()
            raise WorkerGoneError("timeout", f"no sign of life for {timeout:g} s") from None
        if line is None:
            raise self._gone()
        try:
            return parse(line)
        except ValueError as error:
            self.kill()
            raise WorkerGoneError("crashed", f"the worker sent no message: {error}") from error

    def _gone(self) -> WorkerGoneError:
        code = self._process.wait()
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        # The kernel's out-of-memory killer leaves no other trace than SIGKILL.
        status = "oom" if code == -signal.SIGKILL else "crashed"
        return WorkerGoneError(status, f"the worker ended with {how}: {self.last_lines()}")

    def last_lines(self) -> str:
        """What it last wrote to standard error, on one line."""
        self._errors.seek(0)
        text = self._errors.read()[-_TAIL_CHARACTERS:].strip()
        return " | ".join(text.splitlines()[-3:]) or "it wrote nothing"

    def stop(self) -> None:
        """Ask it to end; kill it when it does not."""
        if self._process.poll() is None:
            self.send({"do": "stop"})
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self._close()

    def kill(self) -> None:
        """Kill the whole process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._close()

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                # Closing flushes, and nobody may be left to read.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
