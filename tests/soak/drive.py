"""Runs and resumes sweeps with the stand-in worker, ending some of them early: ``python drive.py``.

A line ``DIRECTORY HOW VALUE`` on standard input begins or resumes the run there in a process of
its own and ends it as HOW says (see ``ended``); the answer is its exit code. One process is forked
for each, so that nothing has to be imported again.
"""

import contextlib
import os
import pty
import resource
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.cli.stopping import stoppable
from bench.errors import BenchError
from bench.process.local import WorkerProcess
from bench.runner.progress import QuietProgress
from bench.runner.runner import Runner
from bench.runner.session import carry_out as carry_out_spec
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.variants import parse_variant

STAND_IN = Path(__file__).with_name("stand_in")
SILENCE = 2.0


def spec():
    """Ten points with four cells each."""
    preset = load_preset("smoke")
    return preset.with_overrides(
        device="cpu",
        axes=(parse_axis("d=16,24,32,40,48"), parse_axis("t=1,2,3,4,5,6"), parse_axis("b=1")),
        variants=tuple(map(parse_variant, ("nullspace", "symmetry", "identity"))),
        preservation=replace(preset.preservation, enabled=False),
    )


def carry_out(directory):
    """Begin or resume the run in ``directory``."""
    runner = Runner(QuietProgress(), partial(WorkerProcess, STAND_IN), silence=SILENCE)
    with stoppable():
        carry_out_spec(spec(), directory, runner, command="teleport-bench run", resume=True)


def ended(directory, how, value):
    """Exit code of a run in a process of its own that is ended in one of these ways.

    unharmed    it may finish
    SIGKILL     it is killed after ``value`` seconds
    SIG...      it gets that signal when its journal holds ``value`` lines
    terminal    its terminal is closed then
    full        no file may become larger than ``value`` bytes
    """
    child, terminal = pty.fork() if how == "terminal" else (os.fork(), None)
    if child == 0:
        _in_child(directory, int(value) if how == "full" else None)
    if how == "SIGKILL":
        time.sleep(value)
    elif how not in ("unharmed", "full"):
        _wait_for_lines(directory / "journal.jsonl", value)
    if how == "terminal":
        os.close(terminal)
    elif how.startswith("SIG"):
        os.kill(child, signal.Signals[how])
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def _wait_for_lines(path, count):
    last = time.monotonic() + 30
    while time.monotonic() < last:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.001)


def _in_child(directory, most_bytes):
    code = 1
    try:
        os.environ["WITNESS"] = str(directory) + ".witness"
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        carry_out(directory)
        code = 0
    except BenchError as error:
        with contextlib.suppress(OSError):
            Path(f"{directory}.error").write_text(str(error))
        code = error.exit_code
    finally:
        os._exit(code)


def main():
    # Whoever started the tests may ignore signals, as nohup does; the runs are to hear them.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for line in sys.stdin:
        directory, how, value = line.rsplit(" ", 2)
        print(ended(Path(directory), how, float(value)), flush=True)


if __name__ == "__main__":
    main()
