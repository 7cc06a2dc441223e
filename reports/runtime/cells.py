"""The section with a row for every cell."""

from collections.abc import Sequence

from markupsafe import Markup

from bench.spec.axes import AXES
from reports.run.setting import setting_of
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.runtime import CellRow
from reports.text import html_tables as html
from reports.text.formatting import WORDS
from reports.text.html_tables import Cell, Column, Table


class Cells(Section):
    """Every cell, failed ones included; all columns are in ``runtime.csv``."""

    name, title, order, measured = "cells", "Cells", 90, True

    def render(self, shown: Shown, fill: Fill) -> Markup:
        """One table."""
        return fill(TEMPLATES / "cells.html.j2", cells=cells_table(shown.listed))


def cells_table(rows: Sequence[CellRow]) -> Table:
    """A row per cell."""
    several = len({setting_of(row) for row in rows}) > 1
    text = ["setting", "variant", "status"] if several else ["variant", "status"]
    numeric = [f"{WORDS[axis]} {axis}" for axis in AXES]
    numeric += ["prepare and steps", "teleport step in SGD steps", "whole call in SGD steps"]
    numeric += ["peak memory"]
    columns = html.columns([*text, "flags"], numeric)
    whys = ("reason", "why operations are not known", "why whole calls are not known")
    columns += [Column(label, False) for label in whys]
    cells = [_cells(row, several=several) for row in rows]
    return Table("Every cell", columns, cells).without_empty()


def _cells(row: CellRow, *, several: bool) -> list[Cell]:
    return [
        *([html.words(", ".join(setting_of(row)))] if several else []),
        *html.texts(row.variant, row.status, row.flags),
        *(html.whole(getattr(row, axis)) for axis in AXES),
        html.seconds(row.median_s, row.ci_low_s, row.ci_high_s),
        html.numbers(row.sgd_steps, row.sgd_steps_low, row.sgd_steps_high),
        html.numbers(row.call_sgd_steps, row.call_sgd_steps_low, row.call_sgd_steps_high),
        html.memory(row.peak_memory_bytes),
        *html.texts(row.reason, row.operations_note, row.call_note),
    ]
