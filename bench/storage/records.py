"""What a journal holds: one struct for each kind of record, the same where it is written and read.

A journal may come from anybody. What is wrong in a record is found here, once, so that nothing
behind has to ask again what kind of value it holds. Fields that are unknown are left alone.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

from msgspec import ValidationError, convert, to_builtins

from bench import entry_points
from bench.errors import JournalError
from bench.spec.checks import shown
from bench.spec.sections import MEASUREMENTS
from bench.storage.record import SCHEMA, FailureRecord, Record
from bench.storage.timed_records import CellRecord, ReferenceRecord, Sample, Stop, WholeCall
from bench.storage.training_records import TeleportRecord, TrainingRecord, TrialRecord
from bench.storage.untimed_records import (
    PhaseTime,
    PreservationRecord,
    ProfileRecord,
    SpectrumRecord,
    Usage,
)

__all__ = [
    "SCHEMA",
    "CellRecord",
    "PhaseTime",
    "PreservationRecord",
    "ProfileRecord",
    "Record",
    "ReferenceRecord",
    "Sample",
    "SpectrumRecord",
    "Stop",
    "TeleportRecord",
    "TrainingRecord",
    "TrialRecord",
    "Usage",
    "WholeCall",
]

Line = dict[str, Any]
"""A record as the JSON of a line."""

AnyRecord = TypeVar("AnyRecord", bound="Record")

# Version n -> what makes a line of version n one of version n + 1, its "schema" included.
UPGRADES: dict[int, Callable[[Line], Line]] = {}

KINDS: dict[str, type[Record]] = {
    "cell": CellRecord,
    "reference": ReferenceRecord,
    "preservation": PreservationRecord,
    "spectrum": SpectrumRecord,
    "profile": ProfileRecord,
    "training": TrainingRecord,
    "teleport": TeleportRecord,
    "trial": TrialRecord,
    "failure": FailureRecord,
}


def cells_of(records: Iterable[Record]) -> list[CellRecord]:
    """The timed cells, without what was timed beside them as a reference."""
    return [record for record in records if type(record) is CellRecord]


def kind_of(record: type[Record] | Record) -> str:
    """What the lines of a struct say as their "kind"."""
    return str(record.__struct_config__.tag)


@cache
def foreign_kinds() -> dict[str, type[Record]]:
    """The kinds that measurements of other packages bring.

    Raises:
        RegistrationError: one of them cannot be imported.
    """
    measurements = map(entry_points.load, entry_points.found(MEASUREMENTS).values())
    return {kind_of(record): record for each in measurements for record in each.records}


def struct_of(kind: str) -> type[Record] | None:
    """The struct of a kind; None for one that nothing installed here knows."""
    return KINDS.get(kind) or foreign_kinds().get(kind)


def upgraded(line: Line, where: str = "in the journal") -> Line:
    """A line of any version so far as one of the present version.

    Raises:
        JournalError: a version that nobody here knows; ``where`` says of which line.
    """
    while type(line.get("schema")) is int and line["schema"] in UPGRADES:
        line = UPGRADES[line["schema"]](line)
    if type(line.get("schema")) is not int or line["schema"] != SCHEMA:
        raise JournalError(
            f"expected schema {SCHEMA} {where}; got {shown(line.get('schema'))}: use the version "
            "of teleport-bench that wrote it"
        )
    return line


def typed(line: Line, number: int, journal: object = "the journal") -> Record | None:
    """The struct of a line of a journal; None for a kind that nobody here knows.

    The line is of the present version; the message names its place ``number``, from 1.

    Raises:
        JournalError: a field that it must have is absent, or a value is none that it may have.
    """
    kind = line["kind"]
    known = struct_of(kind)
    if known is None:
        return None
    try:
        return convert(_known(line), known)
    except ValidationError as error:
        raise JournalError(
            f"expected record {number} of {journal} to be a {kind} record; {error}: restore the "
            "file, or delete that line and run again with --resume"
        ) from None


def made(facts: Mapping[str, Any], kind: type[AnyRecord]) -> AnyRecord:
    """A record of what a worker said; what has no place in it is left out.

    Raises:
        JournalError: a fact is missing, or none that such a record may hold.
    """
    name = kind_of(kind)
    try:
        return convert(_known({**facts, "kind": name}), kind)
    except ValidationError as error:
        raise JournalError(f"expected what makes a {name} record; {error}") from None


def plain(record: Record) -> Line:
    """A record as the journal's line has it."""
    return _known(to_builtins(record))


def _known(line: Mapping[str, Any]) -> Line:
    """Null says that nobody knows: the same as nothing."""
    return {name: value for name, value in line.items() if value is not None}
