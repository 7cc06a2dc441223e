"""The results of all gates, one line each, appended and synced; and each cell's series over them.

A series holds times of one cell on one machine by one measuring code: where machine or code
change, another series begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from bench.comparison.exports.document import cell_of
from bench.comparison.outcome import Outcome
from bench.errors import RunError
from bench.storage import journal

NAME = "history.jsonl"
KIND = "gate"

_OF_OUTCOME = ("when", "base", "head", "environment", "benchmark", "exit_code")
_OF_CELL = (
    *("cell_id", "label", "verdict", "clock", "ratio", "ratio_low", "ratio_high"),
    *("base_median", "head_median"),
)


@dataclass
class Series:
    """One cell over time, oldest first: seconds since 1970, head and median time of each gate."""

    label: str
    when: list[float] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def entry_of(outcome: Outcome) -> journal.Line:
    """A comparison as a line of the history."""
    cells = [{name: cell_of(j)[name] for name in _OF_CELL} for j in outcome.judgements]
    return {
        **{name: getattr(outcome, name) for name in _OF_OUTCOME},
        "cells": {cell.pop("cell_id"): cell for cell in cells},
    }


def append(path: Path, entry: journal.Line) -> None:
    """Add a line; gates that end at the same time wait for each other.

    Raises:
        RunError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"), fallback_to_soft=False)
        alone = lock.acquire()
    except OSError as error:
        raise RunError(
            f"expected to write {path}; {error.strerror}: choose another --history"
        ) from error
    with alone, journal.Journal(path) as lines:
        lines.append({"kind": KIND, **entry})


def load(path: Path) -> list[journal.Line]:
    """The lines of a history, oldest first; JournalError: no such file, or a damaged one."""
    entries = [record for record in journal.lines(path)[0] if record["kind"] == KIND]
    return sorted(entries, key=lambda entry: entry["when"])


def series_of(entries: Sequence[journal.Line]) -> list[Series]:
    """The series of every cell, by label; a cell without a time has no point there."""
    found: dict[tuple[Any, ...], Series] = {}
    for entry in entries:
        place = entry["environment"], entry["benchmark"]
        for cell_id, cell in entry["cells"].items():
            if cell["head_median"] is None:
                continue
            series = found.setdefault((*place, cell_id), Series(cell["label"]))
            series.label = cell["label"]
            series.when.append(float(entry["when"]))
            series.heads.append(entry["head"])
            series.seconds.append(float(cell["head_median"]))
    return sorted(found.values(), key=lambda series: series.label)
