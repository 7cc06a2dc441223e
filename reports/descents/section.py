"""The section on descents on functions of two numbers."""

from collections.abc import Sequence
from typing import TypeVar

import pandas as pd
from markupsafe import Markup

from bench.storage.kinds.descent_records import DescentRecord, LandscapeRecord
from reports.descents.figures import after_teleports, group, jumps
from reports.descents.tables import VisitRow, visit_rows
from reports.run.run import Run, as_float
from reports.run.setting import setting_of, settings
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.text import html_tables as html
from reports.text.html_tables import Cell, Table

RecordT = TypeVar("RecordT")


class Descents(Section):
    """Left out, table and all, where nothing descended."""

    name, title, order = "descents", "Descents", 8

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``descents.csv``."""
        known = descents_of(found.run)
        return {"descents": frame(visit_rows(known), VisitRow)} if known else {}

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """Panels and a table for each function."""
        found = [each for each in descents_of(shown.run) if each.visits]
        if not found:
            return None
        around = {setting_of(each): each for each in _of_kind(shown.run, LandscapeRecord)}
        own = {place: [d for d in found if setting_of(d) == place] for place in settings(found)}
        parts = [
            (group(place, each, around.get(place)), _table(each)) for place, each in own.items()
        ]
        return fill(TEMPLATES / "descents.html.j2", parts=parts)


def descents_of(run: Run) -> list[DescentRecord]:
    """The descents of a run, the last one where one was recorded again."""
    return [*{each.cell_id: each for each in _of_kind(run, DescentRecord)}.values()]


def _of_kind(run: Run, kind: type[RecordT]) -> list[RecordT]:
    every = [record for records in run.others.values() for record in records]
    return [record for record in every if isinstance(record, kind)]


def _table(found: Sequence[DescentRecord]) -> Table:
    numeric = ["steps", "teleports", "loss at the start", "loss at the end"]
    numeric += ["largest ||g||² reached by a teleport"]
    return Table("Each descent", html.columns(["variant"], numeric), [*map(_cells, found)])


def _cells(found: DescentRecord) -> list[Cell]:
    steps, moves = after_teleports(found), jumps(found)
    return [
        html.words(found.variant),
        html.whole(steps[-1].step),
        html.whole(len(moves)),
        html.numbers(as_float(found.visits[0].loss)),
        html.small(as_float(steps[-1].loss)),
        html.numbers(max((as_float(to.grad_norm_sq) for _, to in moves), default=float("nan"))),
    ]
