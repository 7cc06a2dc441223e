"""No worker outlives its runner, and nothing a worker started outlives the worker.

A runner that is killed cannot clean up, so the worker asks the kernel to be killed with it. What
measured code starts is found by a mark in its environment, which it inherits even when it leaves
the worker's process group. Both are Linux; elsewhere the process group alone is killed.
"""

import contextlib
import ctypes
import os
import secrets
import signal
import sys
import time
from pathlib import Path

MARK = "TELEPORT_BENCH_WORKER"

_PR_SET_PDEATHSIG = 1
_PROC = Path("/proc")
_ROUNDS = 50
_PAUSE_SECONDS = 0.01


def new_mark() -> str:
    """A mark for a worker that this process is about to start: its own number and a random part."""
    return f"{os.getpid()}-{secrets.token_hex(8)}"


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
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in _PROC.glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:  # somebody else's, or gone in the meantime
            continue
        if wanted in variables:
            found.append(int(entry.name))
    return found


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
