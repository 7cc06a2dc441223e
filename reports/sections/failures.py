"""The section on what failed, and how."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from bench.spec.axes import AXES
from bench.storage.records import (
    CellRecord,
    PreservationRecord,
    ProfileRecord,
    Record,
    SpectrumRecord,
    TrialRecord,
)
from reports.run.harmless import shortened
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.text import formatting

_MOST_FAILURES = 50
_MOST_NAMES = 40


class Failed(NamedTuple):
    """Failures with one status and reason, and what they are."""

    status: str
    reason: str
    what: list[str]


class Failures(Section):
    """Records of any kind that are not ok."""

    name, title, order = "failures", "Failures", 120

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """A list for each status and reason."""
        return fill(TEMPLATES / "failures.html.j2", failures=_failures(shown.run.failures))


def _failures(records: Sequence[Record]) -> list[Failed]:
    """Failures by status and reason, the most frequent first."""
    what: dict[tuple[str, str], list[str]] = {}
    for record in records:
        key = (record.status, shortened(record.reason or "no reason recorded"))
        what.setdefault(key, []).append(_name(record))
    frequent = sorted(what, key=lambda key: -len(what[key]))
    shown = [Failed(*key, _some(sorted(what[key]))) for key in frequent[:_MOST_FAILURES]]
    left = sum(len(what[key]) for key in frequent[_MOST_FAILURES:])
    if left:
        shown.append(Failed("more", f"{left} with other reasons are in runtime.csv", []))
    return shown


def _some(names: list[str]) -> list[str]:
    left = len(names) - _MOST_NAMES
    return names if left <= 0 else [*names[:_MOST_NAMES], f"and {left} more, see runtime.csv"]


def _name(record: Record) -> str:
    levels = {axis: level for axis in AXES if (level := getattr(record, axis)) is not None}
    at = f" at {formatting.point(levels)}" if levels else ""
    if isinstance(record, TrialRecord):
        of = f"{record.optimizer}, {record.arm}, {record.lr_rule} learning rate, seed {record.seed}"
        return f"training by {of} ({record.role})"
    if isinstance(record, SpectrumRecord):
        return f"spectrum of {record.model} on {record.dataset}"
    if isinstance(record, PreservationRecord):
        tau = "" if record.tau is None else f", τ = {formatting.tau(record.tau)}"
        return f"preservation of {record.variant}{tau}{at}"
    if isinstance(record, (CellRecord, ProfileRecord)):
        return f"{record.variant}{at}"
    of = f" of {record.model} on {record.dataset}" if record.model else ""
    return f"{type(record).__struct_config__.tag}{of}{at}"
