"""What each of several workers runs on: a GPU, or as many cores as every other."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import SpecError

AUTO = "auto"

_TOPOLOGY = Path("/sys/devices/system/cpu")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_MOST = 1024


@dataclass(frozen=True)
class Device:
    """What one worker sees, and no other; workers beyond the GPUs there are share one."""

    name: str
    cores: tuple[int, ...] = ()  # it is tied to; none: it is tied to none
    variables: Mapping[str, str] = field(default_factory=dict)  # of its worker's environment
    shared: bool = False  # with a worker before it


def parse_workers(text: str) -> int | None:
    """Read a number of workers; None for ``auto``.

    Raises:
        SpecError: neither of them.
    """
    if text.strip() == AUTO:
        return None
    count = int(text) if re.fullmatch(r"[0-9]{1,4}", text.strip()) else 0
    if not 1 <= count <= _MOST:
        raise SpecError(
            f"expected --workers auto or a number of 1 or more; got {text[:40]!r}: write for "
            "example --workers auto"
        )
    return count


def devices(
    count: int | None, device: str, threads: int | None, environment: Mapping[str, Any]
) -> list[Device]:
    """One for each worker.

    Args:
        count: of the workers; None takes every GPU, or every core that the process may use.
        device: cpu or cuda.
        threads: of the CPU that a worker is to use; None leaves it one a core.
        environment: of a worker that sees all devices.

    Raises:
        SpecError: fewer cores than workers need, or a device that is one GPU of several.
    """
    if device == "cpu":
        return _sets_of_cores(count, threads)
    if device != "cuda":
        raise SpecError(
            f"expected --device cuda with --workers; got {device}: name the GPUs that may be used "
            f"in {_VISIBLE}"
        )
    named = os.environ.get(_VISIBLE)
    seen = [name.strip() for name in named.split(",")] if named else None
    gpus = seen or [str(number) for number in range(environment.get("gpu_count") or 1)]
    return [_gpu(gpus, number) for number in range(count or len(gpus))]


def _gpu(gpus: list[str], number: int) -> Device:
    name = gpus[number % len(gpus)]
    return Device(f"GPU {name}", (), {_VISIBLE: name}, shared=number >= len(gpus))


def _sets_of_cores(count: int | None, threads: int | None) -> list[Device]:
    """Equally many cores for each; times on more or fewer may not stand beside each other."""
    if not hasattr(os, "sched_setaffinity"):
        raise SpecError(
            "expected a system that ties a process to cores; this one does not: leave --workers out"
        )
    cores = sorted(os.sched_getaffinity(0), key=_place)
    workers = count or max(1, len(cores) // (threads or 1))
    size = len(cores) // workers
    if size < (threads or 1):
        wanted = f"{threads} {'thread' if threads == 1 else 'threads'} each" if threads else "one"
        raise SpecError(
            f"expected at least a core for every worker and thread; got {len(cores)} cores for "
            f"{workers} workers with {wanted}: name fewer --workers or --threads"
        )
    sets = [tuple(sorted(cores[i * size : (i + 1) * size])) for i in range(workers)]
    return [Device(_named(own), own) for own in sets]


def _place(core: int) -> tuple[int, int, int]:
    """Orders cores so that those of one processor, and threads of one core, are neighbours."""
    facts = [_TOPOLOGY / f"cpu{core}" / "topology" / n for n in ("physical_package_id", "core_id")]
    package, number = (_whole(fact) for fact in facts)
    return package, number, core


def _whole(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _named(cores: tuple[int, ...]) -> str:
    """``core 3`` or ``cores 0-3`` or ``cores 0, 4``."""
    if len(cores) == 1:
        return f"core {cores[0]}"
    in_a_row = cores[-1] - cores[0] == len(cores) - 1
    return "cores " + (f"{cores[0]}-{cores[-1]}" if in_a_row else ", ".join(map(str, cores)))
