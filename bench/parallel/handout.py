"""Who does what next: units go to whichever worker is free, here or in another runner."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import Self

from bench.errors import BenchError
from bench.leases.leases import Leases
from bench.parallel.devices import Device
from bench.parallel.followed import Followed
from bench.plan.units import Unit, missing_cells, missing_units
from bench.process.worker import WorkerGoneError
from bench.runner.progress import Progress
from bench.storage.journal import Journal
from bench.storage.records import CellRecord, Record

# Between two looks for what another runner has finished or left.
_LOOK_SECONDS = 0.5
_KILLED = "oom"  # the status of a cell whose worker was killed; nothing tells by whom


class LostLeaseError(BenchError):
    """Another runner took this one for dead and has its unit now."""


class Handout:
    """The units of a run that are not finished, whoever is at work on them."""

    def __init__(
        self,
        units: Sequence[Unit],
        leases: Leases,
        followed: Followed,
        progress: Progress,
        budget: float | None,
    ) -> None:
        """``units`` in the order in which they are handed out; none once the budget is spent."""
        self._open = {unit.unit: unit for unit in units}
        self._leases, self._followed, self._progress = leases, followed, progress
        self._began = self._last = monotonic()
        self._budget = budget
        self._killed: set[str] = set()
        self._lock = threading.RLock()
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        self._followed.look()
        self._progress.begin(list(self._open.values()))
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.end()

    @property
    def left(self) -> int:
        """How many units are not finished."""
        return len(self._open)

    def next(self, device: Device) -> Unit | None:
        """What a unit lacks that this device's worker is to do; waits while others may die.

        None: nothing is left, or nothing more is to be begun.
        """
        while not (self._stopped.is_set() or self._is_spent()):
            with self._lock:
                found = self._claimed(device)
                if found is not None or not self._for(device):
                    return found
            self._stopped.wait(_LOOK_SECONDS)
        return None

    def finish(self, unit: Unit) -> None:
        """A unit is over, for better or worse."""
        with self._lock:
            self._leases.give_back(unit.unit)
            self._followed.look()
            self._close(unit)

    def give_back(self, unit: Unit) -> None:
        """Somebody else may have what a unit still lacks."""
        self._leases.give_back(unit.unit)

    def spares(self, unit: Unit, gone: WorkerGoneError) -> bool:
        """Whether a unit goes on with another worker: a run that ends, a first worker killed.

        Who killed it is not known. If it was the system, short of memory, it will do so again.
        """
        with self._lock:
            spared = gone.status == _KILLED and unit.unit not in self._killed
            if spared:
                self._killed.add(unit.unit)
        return self._stopped.is_set() or spared

    def stop(self) -> None:
        """Hand nothing more out."""
        self._stopped.set()

    def _is_spent(self) -> bool:
        return self._budget is not None and monotonic() - self._began >= self._budget

    def _for(self, device: Device) -> list[Unit]:
        """What may be done there: blocks are timed alone on their device."""
        return [unit for unit in self._open.values() if not (unit.is_block and device.shared)]

    def _claimed(self, device: Device) -> Unit | None:
        for unit in self._for(device):
            if any(need in self._open for need in unit.needs) or not self._leases.take(unit.unit):
                continue
            self._followed.look()
            lacking = self._lacking(unit)
            if lacking is not None:
                return lacking
            self._leases.give_back(unit.unit)
            self._close(unit)
        return None

    def _lacking(self, unit: Unit) -> Unit | None:
        records = self._followed.of(unit.unit)
        found = (missing_cells if unit.is_block else missing_units)([unit], records)
        return found[0] if found else None

    def _close(self, unit: Unit) -> None:
        """Take a unit off, and tell how far the run is; seconds are those since the last one."""
        now, self._last, before = monotonic(), monotonic(), self._last
        del self._open[unit.unit]
        self._progress.unit(unit, self._followed.of(unit.unit), now - before)


class Kept:
    """Where a worker's records go: the journal of its runner, as long as the unit is its own."""

    def __init__(
        self,
        journal: Journal,
        lock: threading.Lock,
        flags: Sequence[str],
        holds: Callable[[], bool],
    ) -> None:
        """``flags`` are those of its device; ``lock`` is shared by all who use the journal."""
        self.path: Path = journal.path
        self._journal, self._lock, self._flags, self._holds = journal, lock, flags, holds

    def append(self, *records: Record) -> None:
        """Keep records.

        Raises:
            LostLeaseError: the unit is another runner's now.
        """
        for record in records:
            if isinstance(record, CellRecord):
                record.flags = [*record.flags, *self._flags]
        with self._lock:
            if not self._holds():
                raise LostLeaseError("expected to hold the lease of a unit; another runner does")
            self._journal.append(*records)
