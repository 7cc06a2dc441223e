"""Whether the machine was left alone while a block was measured.

On few cores another process makes every ratio of parallel code meaningless. What others used is
what all processors were busy with, less what this process itself used, over the time of the block.
Of a process that is tied to some of the cores these alone count: others may measure on the rest.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")

# Cores in use by others, on average, above which a block is flagged.
LIMIT = 0.2

Reader = Callable[[], float | None]


def busy_seconds() -> float | None:
    """Processor seconds spent since boot by all processes, and stolen by other machines.

    On the cores that this process may use; None where the system does not tell.
    """
    try:
        lines = [line.split() for line in _STAT.read_text(encoding="ascii").splitlines()]
    except OSError:
        return None
    counted = {line[0]: _busy(line[1:]) for line in lines if line and line[0].startswith("cpu")}
    whole = counted.pop("cpu")
    own = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    return whole if own >= counted.keys() else sum(counted.get(core, 0.0) for core in own)


def _busy(fields: list[str]) -> float:
    # user nice system idle iowait irq softirq steal; guest time is part of user.
    user, nice, system, _, _, irq, softirq, steal = (int(value) for value in fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


@dataclass
class ForeignLoad:
    """Counts the cores that others use from its making to ``cores()``."""

    busy: Reader = busy_seconds
    own: Callable[[], float] = time.process_time
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        """Start counting."""
        self._start = (self.busy(), self.own(), self.now())

    def cores(self) -> float | None:
        """Cores in use by others on average since the start; None where nobody can tell."""
        busy, own, now = self.busy(), self.own(), self.now()
        first, own_first, began = self._start
        if busy is None or first is None or now <= began:
            return None
        return max(0.0, (busy - first) - (own - own_first)) / (now - began)

    def flags(self) -> list[str]:
        """A flag for the cells of the block when the machine was not idle."""
        cores = self.cores()
        if cores is None or cores <= LIMIT:
            return []
        return [f"busy machine: others used {cores:.2f} cores meanwhile"]
