"""A run directory as a report sees it: records by kind, environment, spec, and what is missing."""

import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import journal
from bench.errors import JournalError
from reports import clean

Record = dict[str, Any]

AXES = ("t", "d", "n", "l", "b")
SGD = "sgd"

_SETTING = ("model", "dataset", "device", "dtype")
_REQUIRED = {
    "cell": ("cell_id", "block_id", "method", "variant", *_SETTING, "status"),
    "preservation": ("method", "variant", "model", "dataset", "status", "rows"),
    "spectrum": ("model", "dataset"),
    "training": ("samples_per_epoch", "epochs", "teleport_epochs", "teleport_batches", "t"),
}


@dataclass(frozen=True)
class Run:
    """Everything a report is made from.

    Attributes:
        directory: where the run lies.
        cells: one record per cell, the last one where a cell was measured again.
        partners: cell -> the record of the SGD steps it was sampled in turn with.
        preservation: loss and gradient along the steps, one record per variant, tau and start.
        spectrum: eigenvalues of one layer's input, one record per layer.
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
    failures: list[Record]
    environment: Record | None
    spec: Record | None
    notes: list[str]


def load(run_dir: Path) -> Run:
    """Read a run directory; only the journal has to be there.

    Raises:
        JournalError: no journal, a damaged one, or a record without a field it must have.
    """
    records, notes = journal.load(run_dir / journal.NAME)
    records = [clean.values(record) for record in records]
    _require_fields(records)
    environment, missing_environment = _read_file(run_dir / "environment.json", json.loads)
    spec, missing_spec = _read_file(run_dir / "spec.toml", tomllib.loads)
    kinds: dict[str, list[Record]] = {}
    for record in records:
        kinds.setdefault(record["kind"], []).append(record)
    cells = _last_of_each_cell(kinds.get("cell", []))
    beside = [*kinds.get("preservation", []), *kinds.get("spectrum", [])]
    return Run(
        directory=run_dir,
        cells=cells,
        partners=_sgd_partners(kinds.get("cell", [])),
        preservation=kinds.get("preservation", []),
        spectrum=[record for record in kinds.get("spectrum", []) if record.get("eigenvalues")],
        training=kinds.get("training", []),
        failures=[record for record in [*cells, *beside] if record.get("status", "ok") != "ok"],
        environment=environment,
        spec=spec,
        notes=[clean.text(note) for note in [*notes, *missing_environment, *missing_spec]],
    )


def _require_fields(records: list[Record]) -> None:
    for number, record in enumerate(records, 1):
        absent = [key for key in _REQUIRED.get(record["kind"], ()) if record.get(key) is None]
        if absent:
            raise JournalError(
                f"expected {', '.join(absent)} in record {number} of the journal, "
                f"a {record['kind']}; got only {', '.join(sorted(record))}"
            )


def _last_of_each_cell(cells: Iterable[Record]) -> list[Record]:
    """A resumed run measures broken cells again: the newest record of a cell counts."""
    return list({cell["cell_id"]: cell for cell in cells}.values())


def _sgd_partners(cells: Iterable[Record]) -> dict[str, Record]:
    """Rounds pair up only within one attempt at a block, whose first record is that of ``sgd``."""
    latest: dict[str, Record] = {}
    partners = {}
    for cell in cells:
        if cell["method"] == SGD:
            latest[cell["block_id"]] = cell
        partner = latest.get(cell["block_id"])
        if partner and partner["status"] == "ok":
            partners[cell["cell_id"]] = partner
    return partners


def _read_file(path: Path, parse: Any) -> tuple[Record | None, list[str]]:
    try:
        content = parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, [f"{path.name} is missing from the run directory"]
    except (OSError, ValueError) as error:
        return None, [f"{path.name} could not be read: {error}"]
    if not isinstance(content, dict):
        return None, [f"{path.name} holds no table of names and values"]
    return clean.values(content), []


def number(value: Any) -> float:
    """A journal's number as a float; null and anything that is no number become NaN."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return float("nan")
