"""The worker seen from the runner: start it, talk to it, notice that it died or hangs."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from bench.plain_text import plain
from bench.process.lifeline import MARK, kill_marked, kill_orphans, marked, new_mark
from bench.process.protocol import Message, parse, send
from bench.process.worker import WorkerGoneError

SOURCE_ROOT = Path(__file__).resolve().parents[2]
LAST_LINES = 20

_GRACE_SECONDS = 5.0
# Between the request to end and SIGKILL; two of these stay well below five seconds.
_TERM_SECONDS = 1.0
_POLL_SECONDS = 0.02
_MOST_LINE_CHARACTERS = 500
# A dump of a deep stack in many threads fits, and what was printed before it.
_MOST_LINES = 500
_FATAL = "Fatal Python error: "


class WorkerProcess:
    """One worker in a process group of its own, started on a source tree."""

    def __init__(
        self,
        root: Path = SOURCE_ROOT,
        variables: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start it on a source tree, in a folder if not in the present one.

        ``variables`` of its environment may choose its GPU.
        """
        path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
        kill_orphans()
        self._mark = new_mark()
        # -P: a package of the same name in the present directory must not be imported.
        # faulthandler: a segmentation fault leaves the line of Python it came from.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-X", "faulthandler", "-m", "bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **(variables or {}), "PYTHONPATH": path, MARK: self._mark},
            start_new_session=True,
            cwd=folder,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._commands: IO[str] = self._process.stdin
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._tail: deque[str] = deque(maxlen=_MOST_LINES)
        self._readers = [
            _reader(self._process.stdout, self._read),
            _reader(self._process.stderr, self._read_errors),
        ]

    def _read(self, events: IO[str]) -> None:
        for line in events:
            self._lines.put(line)
        self._lines.put(None)

    def _read_errors(self, errors: IO[str]) -> None:
        """Keep the last lines only: measured code may print without end."""
        while line := errors.readline(_MOST_LINE_CHARACTERS):
            if text := plain(line):
                # The indentation tells the frames of a dump.
                self._tail.append("  " + text if line.startswith("  ") else text)

    def send(self, command: Message) -> None:
        """Send a command; a worker that is gone is noticed by the next ``receive``."""
        # A broken pipe is reported by receive(), which knows how the worker ended.
        with contextlib.suppress(BrokenPipeError):
            send(self._commands, command)

    def receive(self, timeout: float) -> Message:
        """The next event.

        Raises:
            WorkerGoneError: it ended, was silent for ``timeout`` seconds, or spoke nonsense; none
                of its processes is left.
        """
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            self.kill()
            reason = f"no sign of life for {timeout:g} s, so it was killed{self._last_words()}"
            raise WorkerGoneError("timeout", reason, self.last_lines()) from None
        if line is None:
            raise self._gone()
        try:
            return parse(line)
        except (ValueError, RecursionError) as error:
            self.kill()
            reason = f"the worker sent no message: {error}"
            raise WorkerGoneError("crashed", reason, self.last_lines()) from error

    def _gone(self) -> WorkerGoneError:
        # Its standard output is closed: it is about to end, and what it started may live on.
        self._wait_for_end(_TERM_SECONDS)
        self.kill()
        code = self._process.returncode
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        # The kernel's out-of-memory killer leaves no other trace than SIGKILL.
        status = "oom" if code == -signal.SIGKILL else "crashed"
        reason = f"the worker ended with {how}{self._last_words()}"
        return WorkerGoneError(status, reason, self.last_lines())

    def last_lines(self) -> tuple[str, ...]:
        """What it last wrote to standard error; of a dump after a fatal error the top."""
        words, dump = self._words_and_dump()
        return (*words[len(dump) - LAST_LINES :], *dump)

    def _last_words(self) -> str:
        """The end of it for a reason: its own words, then the line of Python that fell."""
        words, dump = self._words_and_dump()
        frames = [line.strip() for line in dump if line.startswith('  File "')]
        own = [frame for frame in frames if "/lib/python" not in frame]
        said = " | ".join([*words[-3:], *(own or frames)[:1]])
        return f": {said}" if said else "; it wrote nothing"

    def _words_and_dump(self) -> tuple[list[str], list[str]]:
        lines = list(self._tail)
        start = next((i for i, line in enumerate(lines) if line.startswith(_FATAL)), len(lines))
        return lines[:start], lines[start : start + LAST_LINES // 2]

    def stop(self) -> None:
        """Ask it to end; kill it when it does not."""
        if self._process.poll() is None:
            self.send({"do": "stop"})
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End the whole process group and whatever else it started, with SIGKILL at last."""
        if self._process.returncode is None:
            if not self._has_ended():
                self._signal_group(signal.SIGTERM)
                self._wait_for_end(_TERM_SECONDS)
            # The leader is not reaped yet, so that its number still means this group.
            self._signal_group(signal.SIGKILL)
            self._process.wait()
        kill_marked(self._mark)
        self._close()

    def interrupt(self) -> None:
        """Kill it while another thread talks with it, which then hears that it is gone."""
        if self._process.returncode is None:
            self._signal_group(signal.SIGKILL)

    @property
    def leftovers(self) -> list[int]:
        """Processes of this worker that still run."""
        return marked(self._mark)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _has_ended(self) -> bool:
        """Whether it is over; it stays to be reaped."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, options) is not None

    def _wait_for_end(self, seconds: float) -> None:
        last = time.monotonic() + seconds
        while not self._has_ended() and time.monotonic() < last:
            time.sleep(_POLL_SECONDS)

    def _close(self) -> None:
        # Closing flushes, and nobody may be left to read.
        with contextlib.suppress(BrokenPipeError):
            self._commands.close()
        for stream, reader in self._readers:
            reader.join(_TERM_SECONDS)
            # Closing under a reader that still waits would wait with it.
            if not reader.is_alive():
                stream.close()


def _reader(stream: IO[str], read: Callable[[IO[str]], None]) -> tuple[IO[str], threading.Thread]:
    thread = threading.Thread(target=read, args=(stream,), daemon=True)
    thread.start()
    return stream, thread
