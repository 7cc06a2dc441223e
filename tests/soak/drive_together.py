"""Two runners in one directory, one of which is killed: ``python drive_together.py``.

A line ``DIRECTORY LINES KNOWN`` on standard input begins two, kills the first with SIGKILL when the
journals of both hold so many lines, and waits for the other. ``KNOWN`` is 1 where the other can see
that the first is gone, and 0 where it sees no more than that no sign of life comes, as on another
machine. Answers with both exit codes, and that of one that comes when both have ended.
"""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from drive import STAND_IN, spec

from bench.leases import owner
from bench.parallel.begin import Workers
from bench.parallel.together import carry_out_together
from bench.process.local import WorkerProcess
from bench.runner.progress import QuietProgress

WORKERS = Workers(1, partial(WorkerProcess, STAND_IN), silence=30.0, beat=0.05, expiry=0.4)


def begun(directory, known):
    """The number of a process that works in a directory."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if not known:
                owner._machine = lambda: ""
            os.environ["WITNESS"] = str(directory) + ".witness"
            progress = QuietProgress()
            done = carry_out_together(spec(), directory, WORKERS, command="", progress=progress)
            code = 0 if done.complete else 4
        finally:
            os._exit(code)
    return child


def killed(directory, lines, known):
    """Exit codes of two runners, the first of which is killed."""
    first = begun(directory, known)
    second = begun(directory, known)
    last = time.monotonic() + 60
    while time.monotonic() < last and _lines(directory) < lines:
        time.sleep(0.001)
    os.kill(first, signal.SIGKILL)
    codes = [_ended(each) for each in (first, second)]
    # One that is killed when the other has ended already leaves traces to whoever comes next.
    return [*codes, _ended(begun(directory, known))]


def _ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _lines(directory):
    return sum(path.read_bytes().count(b"\n") for path in directory.glob("journal*.jsonl"))


def main():
    for line in sys.stdin:
        directory, lines, known = line.rsplit(" ", 2)
        print(*killed(Path(directory), int(lines), known.strip() == "1"), flush=True)


if __name__ == "__main__":
    main()
