"""Runs and resumes sweeps with the stand-in worker, killing some of them: ``python drive.py``.

A line ``DIRECTORY KILL_AFTER`` on standard input begins or resumes the run there in a process of
its own and kills it with SIGKILL after so many seconds (never, if 0 is given); the answer is its
exit code. One process is forked for each, so that nothing has to be imported again.
"""

import os
import signal
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.axes import parse_axis
from bench.cli.progress import QuietProgress
from bench.cli.run import _carry_out
from bench.cli.stopping import StoppedError, stoppable
from bench.errors import BenchError
from bench.plan import make_plan
from bench.preset import load_preset
from bench.runner import Runner
from bench.shards import WHOLE
from bench.variants import parse_variant
from bench.worker_process import WorkerProcess

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
        _carry_out(runner, spec(), directory, WHOLE, resume=True, quiet=True)


def killed_after(directory, seconds):
    """Exit code of a run in a process of its own, which is killed after ``seconds``, if any."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.environ["WITNESS"] = str(directory) + ".witness"
            carry_out(directory)
            code = 0
        except StoppedError as stopped:
            code = stopped.exit_code
        except BenchError as error:
            print(error, file=sys.stderr)
            code = error.exit_code
        finally:
            os._exit(code)
    if seconds:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main():
    for line in sys.stdin:
        directory, seconds = line.rsplit(" ", 1)
        print(killed_after(Path(directory), float(seconds)), flush=True)


CELLS = {cell.cell_id for block in make_plan(spec()).blocks for cell in block.cells}

if __name__ == "__main__":
    main()
