"""What is said to SLURM: submit an array, ask what became of its tasks, cancel it.

Only sbatch, squeue and scancel are asked, so that a cluster without accounting will do. Arrays go
by their names, which are known before they are submitted: one whose number was never heard of,
because the call was interrupted, is found all the same.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import RunError

# The states that squeue knows of a task that will not run any more; all others may still.
ENDED = frozenset(
    {
        *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
        *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
    }
)
WAITING = frozenset({"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"})

_FIELDS = "%j|%K|%T|%F|%r"
_NUMBER = re.compile(r"[0-9]+")
_SECONDS = 120.0


class SchedulerError(RunError):
    """SLURM gave no answer; it may give one later."""


@dataclass(frozen=True)
class Seen:
    """What squeue says of one task."""

    state: str
    job: str  # its number as users write it, 12_3
    reason: str  # why it waits

    @property
    def ended(self) -> bool:
        """Whether it will not run any more."""
        return self.state in ENDED


Tasks = Mapping[tuple[str, int], Seen]
"""Name of an array and index of its task -> what squeue says of it."""


class Scheduler:
    """SLURM as its commands are."""

    def submit(self, script: Path, output: Path) -> str:
        """Submit a script from the present directory; the number of the array.

        Raises:
            SchedulerError: sbatch refused it.
        """
        words = ["--parsable", f"--chdir={Path.cwd()}", f"--output={output}"]
        answer = _answer("sbatch", [*words, str(script)])
        number = answer.strip().partition(";")[0]
        if not _NUMBER.fullmatch(number):
            raise SchedulerError(f"expected sbatch to give a number; it said {answer.strip()!r}")
        return number

    def tasks(self, names: Sequence[str]) -> Tasks:
        """The tasks of the arrays of these names that SLURM still knows, by name and index.

        Those that ended are known for a while (MinJobAge) and then forgotten.

        Raises:
            SchedulerError: there was no answer.
        """
        words = ["--noheader", "--array", "--states=all", f"--name={','.join(names)}"]
        return parsed(_answer("squeue", [*words, f"--format={_FIELDS}"]))

    def cancel(self, names: Iterable[str]) -> None:
        """Cancel every task of the arrays of these names.

        Raises:
            SchedulerError: scancel could not.
        """
        for name in names:
            _answer("scancel", [f"--name={name}"])


def parsed(answer: str) -> Tasks:
    """What squeue's lines say; a line that is none of an array's task is left out."""
    found: dict[tuple[str, int], Seen] = {}
    for line in answer.splitlines():
        fields = line.strip().split("|", maxsplit=4)
        if len(fields) == 5 and fields[1].isdigit():
            name, index, state, job, reason = fields
            found[name, int(index)] = Seen(state, f"{job}_{index}", reason)
    return found


def _answer(command: str, words: Sequence[str]) -> str:
    try:
        # A key that interrupts us must not interrupt a submission half way.
        done = subprocess.run(
            [command, *words],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError:
        raise SchedulerError(
            f"expected the commands of SLURM here; there is no {command}: submit from a machine "
            "of the cluster, or leave out --on to measure on this one"
        ) from None
    except subprocess.TimeoutExpired:
        raise SchedulerError(
            f"expected an answer of {command}; there was none for {_SECONDS:g} s"
        ) from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise SchedulerError(f"expected {command} to do as asked; {said}")
    return done.stdout


def output_pattern(folder: Path) -> Path:
    """Where a task's output goes, for sbatch: a percent sign of a folder's name stands for itself.

    A file is named by the array's number and the task's index.
    """
    return Path(str(folder).replace("%", "%%")) / "%A_%a.out"
