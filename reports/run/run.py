"""A run directory as a report sees it: records by kind, environment, spec, and what is missing."""

import json
import os
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import JournalError
from bench.files import open_plain
from bench.storage import journal
from reports.run import harmless
from reports.run.records import AXES, Record, check

__all__ = ["AXES", "SGD", "Record", "Run", "load", "number"]

SGD = "sgd"

# Larger than anything of ours; the journal is read line by line and has a limit of its own.
_MOST_BYTES = 2**24


@dataclass(frozen=True)
class Run:
    """Everything a report is made from.

    Attributes:
        directory: where the run lies.
        cells: one record per cell, the last one where a cell was measured again.
        partners: cell -> the record of the SGD steps it was sampled in turn with, in one process.
        preservation: loss and gradient along the steps, one record per variant, tau and start.
        spectrum: eigenvalues of one layer's input, one record per layer.
        profiles: phases and traces, one record per cell that was profiled.
        training: schedules whose cost is to be reported.
        failures: records of any kind that are not ok.
        environment: machine and versions; None if the file is missing or unreadable.
        spec: what was asked for; None if the file is missing or unreadable.
        notes: what the reader of the page must know about missing or damaged files.
    """

    directory: Path
    cells: list[Record]
    partners: dict[str, Record]
    preservation: list[Record]
    spectrum: list[Record]
    training: list[Record]
    profiles: list[Record]
    failures: list[Record]
    environment: Record | None
    spec: Record | None
    notes: list[str]


def load(run_dir: Path) -> Run:
    """Read a run directory; only the journal has to be there.

    Raises:
        JournalError: no journal, a damaged one, or a record without a field it must have.
    """
    records, notes = journal.lines(run_dir / journal.NAME)
    for index, record in enumerate(records):
        records[index] = _cleaned(record, index + 1)
    environment, missing_environment = _read_file(run_dir / "environment.json", json.loads)
    spec, missing_spec = _read_file(run_dir / "spec.toml", _spec)
    kinds: dict[str, list[Record]] = {}
    for record in records:
        kinds.setdefault(record["kind"], []).append(record)
    cells = _last_of_each_cell(kinds.get("cell", []))
    beside = [r for kind in ("preservation", "spectrum", "profile") for r in kinds.get(kind, [])]
    return Run(
        directory=run_dir,
        cells=cells,
        partners=_sgd_partners(kinds.get("cell", []), kinds.get("reference", [])),
        preservation=kinds.get("preservation", []),
        spectrum=[record for record in kinds.get("spectrum", []) if record.get("eigenvalues")],
        training=kinds.get("training", []),
        profiles=list({p["cell_id"]: p for p in kinds.get("profile", [])}.values()),
        failures=[record for record in [*cells, *beside] if record.get("status", "ok") != "ok"],
        environment=environment,
        spec=spec,
        notes=[harmless.text(note) for note in [*notes, *missing_environment, *missing_spec]],
    )


def _cleaned(record: Record, number: int) -> Record:
    try:
        clean_record: Record = harmless.values(record)
    except ValueError as error:
        raise JournalError(f"record {number} of the journal: {error}") from None
    check(clean_record, number)
    return clean_record


def _last_of_each_cell(cells: Iterable[Record]) -> list[Record]:
    """A resumed run measures broken cells again: the newest record of a cell counts."""
    return list({cell["cell_id"]: cell for cell in cells}.values())


def _sgd_partners(cells: Iterable[Record], references: Iterable[Record]) -> dict[str, Record]:
    """Rounds pair up only within one session, which is one attempt at a block in one process."""
    timed = {
        (record["block_id"], record.get("session")): record
        for record in (*cells, *references)
        if record["method"] == SGD
    }
    partners = {}
    for cell in cells:
        partner = timed.get((cell["block_id"], cell.get("session")))
        if partner and partner["status"] == "ok":
            partners[cell["cell_id"]] = partner
    return partners


def _read_file(path: Path, parse: Callable[[str], Any]) -> tuple[Record | None, list[str]]:
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            content = parse(file.read(_MOST_BYTES).decode("utf-8"))
        if not isinstance(content, dict):
            return None, [f"{path.name} holds no table of names and values"]
        return harmless.values(content), []
    except FileNotFoundError:
        return None, [f"{path.name} is missing from the run directory"]
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return None, [f"{path.name} could not be read: {reason}"]


def _spec(toml: str) -> Record:
    """A spec as far as a report uses it.

    Raises:
        ValueError: no TOML, or a value in it that no spec has.
    """
    spec = tomllib.loads(toml)
    base, axes, methods = (spec.get(name) for name in ("base", "axes", "methods"))
    levels = [*_entries(base), *(level for values in _entries(axes) for level in _entries(values))]
    if not all(type(level) is int for level in levels):
        raise ValueError("expected whole numbers in [base] and [axes]")
    if not all(isinstance(name, str) for name in [*_entries(methods), spec.get("command", "")]):
        raise ValueError("expected texts in command and methods")
    return spec


def _entries(value: Any) -> list[Any]:
    """The values of a table or a list; of a key that is not there none."""
    if isinstance(value, dict):
        return list(value.values())
    if value is not None and not isinstance(value, list):
        raise ValueError(f"expected a table or a list; got {harmless.shortened(repr(value), 60)}")
    return list(value or ())


def number(value: Any) -> float:
    """A journal's number as a float; null and anything that is no number become NaN."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return float("nan")
