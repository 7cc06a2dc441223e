"""No worker outlives its runner, and nothing a worker started outlives the worker.

A runner that is killed cannot clean up, so the worker asks the kernel to be killed with it. What
measured code starts is found by a mark in its environment, which it inherits even when it leaves
the worker's process group; after a runner that was killed the next one on the machine looks for
it. All this is Linux; elsewhere the process group alone is killed.
"""

import contextlib
import ctypes
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

MARK = "TELEPORT_BENCH_WORKER"

_PR_SET_PDEATHSIG = 1
_PROC = Path("/proc")
_ROUNDS = 50
_PAUSE_SECONDS = 0.01


def new_mark() -> str:
    """A mark for a worker of this process: its number, when it began, and a random part."""
    pid = os.getpid()
    return f"{pid}-{beginning(pid)}-{secrets.token_hex(8)}"


def beginning(pid: int) -> str:
    """When a process that runs began, in ticks since the machine did; empty where there is none."""
    # Numbers of processes are given out again: number and beginning together are not.
    try:
        # The name, in parentheses, may hold anything.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def die_with_runner() -> None:
    """Have the kernel kill this process when its runner ends; end now if it has ended already.

    The runner is the process that made the mark; started by hand there is none. The kernel counts
    the thread that started the worker as the runner, so it has to be one that stays.
    """
    runner = os.environ.get(MARK, "").partition("-")[0]
    if sys.platform != "linux" or not runner.isdigit():
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "expected to be tied to the runner's life")
    if os.getppid() != int(runner):
        sys.exit("the runner has ended")


def marked(mark: str) -> list[int]:
    """Processes that were started under a mark and are still there, zombies left out."""
    return [pid for pid, found in _marks() if found == mark]


def _marks() -> Iterator[tuple[int, str]]:
    """Every marked process of this machine and its mark."""
    key = f"{MARK}=".encode()
    for entry in _PROC.glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # somebody else's, or gone in the meantime
            continue
        for variable in variables:
            if variable.startswith(key):
                yield int(entry.name), variable[len(key) :].decode(errors="replace")


def kill_marked(mark: str) -> None:
    """Kill every process that was started under a mark, and what it starts meanwhile."""
    for _ in range(_ROUNDS):
        found = marked(mark)
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE_SECONDS)


def kill_orphans() -> None:
    """Kill what runners that have ended, and could not clean up, left of this user's workers."""
    for mark in {mark for pid, mark in _marks() if _is_ours(pid)}:
        match mark.split("-"):
            case [runner, began, _] if runner.isdigit() and beginning(int(runner)) != began:
                kill_marked(mark)


def _is_ours(pid: int) -> bool:
    """Of this user, and numbered as we are: a container sees other numbers than its host."""
    here, there = _PROC / "self", _PROC / str(pid)
    try:
        same_user = there.stat().st_uid == os.geteuid()
        return same_user and (there / "ns/pid").stat().st_ino == (here / "ns/pid").stat().st_ino
    except OSError:
        return False
