"""Everything on one core: two workers that take turns then meet the same conditions.

On two cores one worker may happen to sit on the busy one; and each turn would wake a core that has
gone to sleep meanwhile.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_LOOK_SECONDS = 0.3


@contextmanager
def one_core(wanted: bool) -> Iterator[int | None]:
    """Keep this process and what it starts on the least busy core, if ``wanted`` and possible."""
    if not wanted or not hasattr(os, "sched_setaffinity"):
        yield None
        return
    before = os.sched_getaffinity(0)
    core = least_busy(sorted(before), _busy())
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, before)


def least_busy(cores: Sequence[int], busy: Sequence[float]) -> int:
    """The core with the smallest share in ``busy``; the last of ``cores`` where it is empty."""
    known = [core for core in cores if core < len(busy)]
    return min(known, key=lambda core: busy[core]) if known else cores[-1]


def _busy() -> list[float]:
    """Share of each core that is in use, in percent; empty where nobody can tell."""
    try:
        import psutil
    except ImportError:  # a machine without network may lack it
        return []
    return psutil.cpu_percent(interval=_LOOK_SECONDS, percpu=True)
