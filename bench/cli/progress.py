"""How far a run is: a bar with remaining time on a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections import Counter
from collections.abc import Sequence
from time import monotonic
from typing import Any

from bench.plain_text import plain
from bench.plan.units import Unit
from bench.runner.progress import Progress, QuietProgress
from bench.storage.records import Record
from bench.times import duration

_PLAIN_SECONDS = 10.0


def estimate_left(seconds: list[float], left: int) -> float:
    """Remaining seconds: the mean of what is done, for what is left."""
    return sum(seconds) / len(seconds) * left if seconds else float("nan")


def outcome(records: Sequence[Record]) -> str:
    """What became of the cells of a unit: "5 ok" or "4 ok, 1 oom"."""
    counts = Counter(record.status for record in records)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items(), reverse=True))


def _named(unit: Unit, record: Record) -> str:
    """The unit and what of it the record is about: a variant or an arm."""
    name = getattr(record, "variant", "") or getattr(record, "arm", "")
    return f"{unit.label}: {name}" if name else unit.label


class PlainProgress(Progress):
    """A line at most every ten seconds, and one for every cell that is not fine."""

    def begin(self, units: list[Unit]) -> None:
        """The run starts."""
        self._count = len(units)
        self._seconds: list[float] = []
        self._last = monotonic()

    def unit(self, unit: Unit, records: Sequence[Record], seconds: float) -> None:
        """A unit is finished."""
        self._seconds.append(seconds)
        done = len(self._seconds)
        bad = [record for record in records if record.status != "ok"]
        told = (f"{_named(unit, record)}: {record.status}: {record.reason}" for record in bad)
        for text in dict.fromkeys(told):
            self._line(text)
        if done == self._count or monotonic() - self._last >= _PLAIN_SECONDS:
            self._last = monotonic()
            left = duration(estimate_left(self._seconds, self._count - done))
            self._line(f"[{done}/{self._count}] {unit.label}: {outcome(records)}; {left} left")

    def _line(self, text: str) -> None:
        # A run of hours does not end because nobody reads along any more.
        with contextlib.suppress(OSError):
            print(plain(text), file=sys.stderr, flush=True)  # noqa: T201


class TerminalProgress(Progress):
    """A bar."""

    def begin(self, units: list[Unit]) -> None:
        """The run starts."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        self._seconds: list[float] = []
        self._count = len(units)
        self._bar: Any = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("starting", total=len(units), left="")
        self._bar.start()

    def unit(self, unit: Unit, records: Sequence[Record], seconds: float) -> None:
        """A unit is finished."""
        from rich.markup import escape

        self._seconds.append(seconds)
        left = duration(estimate_left(self._seconds, self._count - len(self._seconds)))
        bad = [record for record in records if record.status != "ok"]
        for text in dict.fromkeys(f"{_named(unit, record)}: {record.reason}" for record in bad):
            self._bar.console.print(escape(plain(text)))
        label = escape(plain(unit.label))
        self._bar.update(self._task, advance=1, description=label, left=f"{left} left")

    def end(self) -> None:
        """The run is over."""
        # A terminal that was closed takes no last line.
        with contextlib.suppress(OSError):
            self._bar.stop()


def choose(*, quiet: bool) -> Progress:
    """The progress for this place; ``NO_COLOR`` is honoured by the terminal library."""
    if quiet:
        return QuietProgress()
    return TerminalProgress() if sys.stderr.isatty() else PlainProgress()
