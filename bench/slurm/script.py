"""The batch script of an array: which part each of its tasks measures, and on what."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.slurm.cluster import Cluster

TASK = "bench.cli.cluster.task"


@dataclass(frozen=True)
class Array:
    """What one call of sbatch submits."""

    name: str  # of the job; no other array has it
    parts: Sequence[int]  # task k measures part ``parts[k]``; SLURM starts them in this order
    count: int  # how many parts the sweep has
    directory: Path  # of the run, on a disk that every node sees
    silence: float  # seconds after which a worker without sign of life is killed


def script(cluster: Cluster, array: Array, root: Path, limit: int | None = None) -> str:
    """The text of the script.

    Args:
        cluster: what a task is given.
        array: what is to be done.
        root: the folder that holds our packages; a checkout need not be installed.
        limit: how many tasks may run at a time.
    """
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {option}" for option in _options(cluster, array, limit)),
            "set -e",
            f"export OMP_NUM_THREADS={cluster.cpus_per_task}",
            *cluster.setup,
            *_path(root),
            f"parts=({' '.join(map(str, array.parts))})",
            f"exec {_words(cluster, array)}",
            "",
        ]
    )


def _options(cluster: Cluster, array: Array, limit: int | None) -> list[str]:
    """What sbatch reads at the top; paths, which may hold anything, are given to it as words."""
    throttle = "" if limit is None else f"%{limit}"
    found = [
        f"--job-name={array.name}",
        f"--array=0-{len(array.parts) - 1}{throttle}",
        "--open-mode=append",
        "--no-requeue",  # how often a part is tried is counted by us
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={cluster.cpus_per_task}",
    ]
    if cluster.gpus_per_task:
        found.append(f"--gres=gpu:{cluster.gpus_per_task}")
    named = {"partition": cluster.partition, "time": cluster.time}
    found += [f"--{name}={value}" for name, value in named.items() if value is not None]
    return [*found, *cluster.options]


def _path(root: Path) -> list[str]:
    """What another Python finds us by; beside an installed package lie those of its Python."""
    if not (root / "pyproject.toml").exists():
        return []
    return [f"export PYTHONPATH={shlex.quote(str(root))}${{PYTHONPATH:+:$PYTHONPATH}}"]


def _words(cluster: Cluster, array: Array) -> str:
    python = cluster.python or sys.executable
    words = shlex.join([python, "-P", "-m", TASK, str(array.directory)])
    return f'{words} "${{parts[$SLURM_ARRAY_TASK_ID]}}/{array.count}" {array.silence:g}'
