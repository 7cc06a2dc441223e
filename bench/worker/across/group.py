"""The ranks of a group as the worker sees them: processes that it asks, all at once."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from bench.process.protocol import Message, parse, send

_ROOT = Path(__file__).resolve().parents[3]
_GRACE_SECONDS = 5.0


class GroupError(Exception):
    """A call failed; the group has ended.

    Attributes:
        status: of the record.
        reason: what the rank said that failed, or how it ended.
        refused: whether every rank said, before anything moved, that this cannot be.
    """

    def __init__(self, status: str, reason: str, *, refused: bool = False) -> None:
        super().__init__(reason)
        self.status, self.reason, self.refused = status, reason, refused


class Group:
    """So many ranks, alive until ``end`` or until one of them fails; ``ended`` tells."""

    def __init__(self, ranks: int, facts: Message) -> None:
        """Start them and have them join; ``facts`` is what their "join" says beside the ranks.

        Raises:
            GroupError: one of them could not.
        """
        self._folder = TemporaryDirectory(prefix="ranks-")
        self._ranks: list[subprocess.Popen[str]] = []
        self.ended = False
        try:
            self._ranks += [_started() for _ in range(ranks)]
            known = {"do": "join", "ranks": ranks, "store": f"{self._folder.name}/store", **facts}
            self._ask([{**known, "rank": rank} for rank in range(ranks)])
        except BaseException:
            self.end()
            raise

    @property
    def pids(self) -> list[int]:
        """The processes, in order of ranks."""
        return [process.pid for process in self._ranks]

    def ask(self, command: Message) -> list[Message]:
        """What every rank answers, in order of ranks.

        Raises:
            GroupError: one of them failed or ended; none is left then.
        """
        return self._ask([command] * len(self._ranks))

    def _ask(self, commands: Sequence[Message]) -> list[Message]:
        for process, command in zip(self._ranks, commands, strict=True):
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # its answer says how it ended
                send(process.stdin, command)
        answers = [_answer(process) for process in self._ranks]
        failed = [(rank, one) for rank, one in enumerate(answers) if "reason" in one]
        if not failed:
            return answers
        self.end()
        # One that lost another knows less than that one itself.
        rank, first = min(failed, key=lambda pair: bool(pair[1].get("of_another")))
        refused = len(failed) == len(answers) and all(one.get("refused") for _, one in failed)
        reason = first["reason"] if refused else f"rank {rank} of {len(answers)}: {first['reason']}"
        raise GroupError(first["status"], reason, refused=refused)

    def end(self) -> None:
        """Leave no process behind."""
        if self.ended:
            return
        self.ended = True
        for process in self._ranks:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
        last = monotonic() + _GRACE_SECONDS
        for process in self._ranks:
            try:
                process.wait(max(0.0, last - monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self._folder.cleanup()


def _started() -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-P", "-X", "faulthandler", "-m", "bench.worker.across"]
    return subprocess.Popen(
        [*command, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": path},
    )


def _answer(process: subprocess.Popen[str]) -> Message:
    """Its next line, or how it ended."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if line:
        return parse(line)
    try:
        code = process.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:  # it closed its output and lives on
        process.kill()
        code = process.wait()
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    # The kernel's out-of-memory killer leaves no other trace than SIGKILL.
    status = "oom" if code == -signal.SIGKILL else "crashed"
    return {"status": status, "reason": f"it ended with {how}"}
