"""A run directory as a report sees it: records by kind, environment, spec, and what is missing."""

import json
import os
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import JournalError
from bench.files import open_plain
from bench.storage import journal
from bench.storage.records import (
    CellRecord,
    PreservationRecord,
    ProfileRecord,
    Record,
    ReferenceRecord,
    SpectrumRecord,
    kind_of,
    typed,
)
from bench.storage.run_directory import session_files
from bench.storage.sessions import SESSIONS, sessions_of
from reports.run import harmless

SGD = "sgd"
# What the papers' claims are about.
NULLSPACE = "nullspace"
SYMMETRY = "symmetry"

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
        others: kind -> records of a kind that is none of these.
        failures: records of any kind that are not ok.
        environment: machine and versions; None if the file is missing or unreadable.
        spec: what was asked for; None if the file is missing or unreadable.
        notes: what the reader of the page must know about missing or damaged files.
        left_out: those of them on what of the journal is in no table.
    """

    directory: Path
    cells: list[CellRecord]
    partners: dict[str, CellRecord]
    preservation: list[PreservationRecord]
    spectrum: list[SpectrumRecord]
    profiles: list[ProfileRecord]
    others: dict[str, list[Any]]
    failures: list[Record]
    environment: dict[str, Any] | None
    spec: dict[str, Any] | None
    notes: list[str]
    left_out: list[str]


def load(run_dir: Path) -> Run:
    """Read a run directory; only the journal has to be there.

    Raises:
        JournalError: no journal, a damaged one, or a record that is not what its kind says.
    """
    records, notes = _read_journal(run_dir)
    environment, missing_environment = _environment(run_dir)
    spec, missing_spec = _read_file(run_dir / "spec.toml", _spec)
    timed = [r for r in records if type(r) is CellRecord]
    references = [r for r in records if type(r) is ReferenceRecord]
    preservation = [r for r in records if type(r) is PreservationRecord]
    spectrum = [r for r in records if type(r) is SpectrumRecord]
    profiles = [r for r in records if type(r) is ProfileRecord]
    others, unknown = _others(records)
    left_out = [harmless.text(note) for note in [*notes, *unknown]]
    # A resumed run measures broken cells again: the newest record of a cell counts.
    cells = list({cell.cell_id: cell for cell in timed}.values())
    beside = [r for own in others.values() for r in own if isinstance(r, Record)]
    every = [*cells, *preservation, *spectrum, *profiles, *beside]
    return Run(
        directory=run_dir,
        cells=cells,
        partners=_sgd_partners(timed, references),
        preservation=preservation,
        spectrum=[record for record in spectrum if record.eigenvalues],
        profiles=list({p.cell_id: p for p in profiles}.values()),
        others=others,
        failures=[record for record in every if record.status != "ok"],
        environment=environment,
        spec=spec,
        notes=[*left_out, *map(harmless.text, [*missing_environment, *missing_spec])],
        left_out=left_out,
    )


def _read_journal(run_dir: Path) -> tuple[list[Any], list[str]]:
    """Every record as its struct, one of a kind that nobody knows as it was written; and notes."""
    path, notes = run_dir / journal.NAME, list[str]()
    records: list[Any] = []
    for file, number, line in journal.placed(path, notes):
        try:
            clean = harmless.values(line)
        except ValueError as error:
            raise JournalError(f"record {number} of {file}: {error}") from None
        records.append(typed(clean, number, file) or clean)
    return records, notes


def _environment(run_dir: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """What it ran on, with the sessions of all runners that shared the directory."""
    found, notes = _read_file(run_dir / "environment.json", json.loads)
    if found is not None:
        sessions = sessions_of(found)
        for file in session_files(run_dir):
            own, missing = _read_file(file, json.loads)
            sessions = [*sessions, *sessions_of(own or {})]
            notes += missing
        found |= {SESSIONS: sessions} if sessions else {}
    return found, notes


def _others(records: Iterable[Any]) -> tuple[dict[str, list[Any]], list[str]]:
    """Records of other kinds than ours, and a note on the kinds that nobody knows."""
    ours = (CellRecord, PreservationRecord, SpectrumRecord, ProfileRecord)
    found: dict[str, list[Any]] = {}
    for record in (record for record in records if not isinstance(record, ours)):
        kind = kind_of(record) if isinstance(record, Record) else record["kind"]
        found.setdefault(kind, []).append(record)
    return found, [
        f"The journal holds {len(own)} of the kind {harmless.shortened(kind, 40)}, which nothing "
        "here knows: no table of ours has them."
        for kind, own in sorted(found.items())
        if not isinstance(own[0], Record)
    ]


def _sgd_partners(
    cells: Sequence[CellRecord], references: Iterable[CellRecord]
) -> dict[str, CellRecord]:
    """Rounds pair up only within one session, which is one attempt at a block in one process."""
    timed = {
        (record.block_id, record.session): record
        for record in (*cells, *references)
        if record.method == SGD
    }
    pairs = ((cell, timed.get((cell.block_id, cell.session))) for cell in cells)
    return {cell.cell_id: sgd for cell, sgd in pairs if sgd and sgd.status == "ok"}


def _read_file(path: Path, parse: Callable[[str], Any]) -> tuple[dict[str, Any] | None, list[str]]:
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


def _spec(toml: str) -> dict[str, Any]:
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


def as_float(value: Any) -> float:
    """A number of a record or of a file as a float; None and what is no number become NaN."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return float("nan")
