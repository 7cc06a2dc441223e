"""What a cluster gives each task of an array: ``slurm.toml``, with its checks."""

import re
from dataclasses import dataclass, fields
from pathlib import Path

from bench.errors import SpecError
from bench.files import read_plain
from bench.spec import checks
from bench.spec.toml_text import parse

# SLURM's own MaxArraySize is 1001 unless the site says otherwise.
MOST_TASKS = 1000

_PARTITION = re.compile(r"[\w.,-]+")
_TIME = re.compile(r"[0-9]+(:[0-9]{2}){0,2}|[0-9]+-[0-9]{1,2}(:[0-9]{2}){0,2}")
# What decides which task does what, and where its output is found, is not the user's.
_OURS = ("--array", "-a", "--output", "-o", "--error", "-e", "--job-name", "-J", "--chdir", "-D")
_OURS_TOO = ("--ntasks", "-n", "--nodes", "-N", "--wrap", "--parsable", "--test-only", "--wait")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One task of an array measures one part of a sweep on one node.

    Attributes:
        partition: where tasks run, or several with commas; the cluster's default if left out.
        time: the most that a task may take, as sbatch has it: minutes, HH:MM:SS, D-HH:MM:SS.
        cpus_per_task: cores of a task, which are its threads unless the spec says otherwise.
        gpus_per_task: GPUs of a task; the device "auto" is then cuda, else cpu.
        parallel: how many tasks run at a time; as many as the cluster gives if left out.
        tasks: how many tasks at most; a task for every block if left out, up to 1000.
        python: the Python of the tasks; the one that submits if left out.
        setup: lines of shell before that, such as module loads; one that fails ends the task.
        options: more options of sbatch, such as --account=NAME.

    Raises:
        SpecError: a value that sbatch could not take, or an option that is not the user's.
    """

    partition: str | None = None
    time: str | None = None
    cpus_per_task: int = 1
    gpus_per_task: int = 0
    parallel: int | None = None
    tasks: int = MOST_TASKS
    python: str | None = None
    setup: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot stand in a script."""
        checks.whole("cpus_per_task", self.cpus_per_task, at_most=4096)
        checks.whole("gpus_per_task", self.gpus_per_task, at_least=0, at_most=64)
        checks.whole("tasks", self.tasks, at_most=1_000_000)
        if self.parallel is not None:
            checks.whole("parallel", self.parallel)
        if self.python is not None:
            _line("python", self.python)
        self._check_place()
        for name in ("setup", "options"):
            lines = tuple(_line(name, line) for line in checks.items(name, getattr(self, name)))
            object.__setattr__(self, name, lines)
        for option in self.options:
            _check_option(option)

    def _check_place(self) -> None:
        if self.partition is not None and not _matches(_PARTITION, self.partition):
            raise SpecError(
                f"expected partition to name one, or several with commas; got "
                f"{checks.shown(self.partition)}: sinfo lists them"
            )
        if self.time is not None and not _matches(_TIME, self.time):
            raise SpecError(
                f"expected time as sbatch takes it, in quotes; got {checks.shown(self.time)}: "
                'write for example time = "02:30:00"'
            )


def read_cluster(path: Path) -> Cluster:
    """Read ``slurm.toml``.

    Raises:
        SpecError: no such file, a mistake in the TOML, an unknown key or a wrong value.
    """
    try:
        text = read_plain(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(
            f"expected --on to name a file that describes the cluster; {path}: {error}: write one "
            'with, for example, partition = "gpu", time = "02:00:00" and gpus_per_task = 1'
        ) from error
    tree = parse(text, str(path))
    known = [field.name for field in fields(Cluster)]
    for key in tree:
        if key not in known:
            raise checks.unknown_name(f"a key of {path}", key, known)
    return Cluster(**tree)


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _line(name: str, value: object) -> str:
    line = checks.text(name, value)
    if "\n" in line:
        raise SpecError(f"expected one line each in {name}; got {checks.shown(line)}")
    return line


def _check_option(option: str) -> None:
    word = re.split(r"[=\s]", option, maxsplit=1)[0]
    if not word.startswith("-"):
        raise SpecError(
            f"expected options of sbatch that begin with a dash; got {checks.shown(option)}: "
            'write for example options = ["--account=me"]'
        )
    if word in (*_OURS, *_OURS_TOO):
        raise SpecError(
            f"expected options that do not say which task does what; got {word}: leave it out"
        )
