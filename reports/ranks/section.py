"""The section on calls that the ranks of a group share."""

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from bench.storage.kinds.ranks_records import RanksRecord
from reports.ranks.figures import group
from reports.ranks.tables import RanksRow, ranks_rows
from reports.run.run import Run
from reports.run.setting import setting_of, settings
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.text import html_tables as html
from reports.text.html_tables import Cell, Table


class RanksSection(Section):
    """Left out, table and all, where no ranks shared a call."""

    name, title, order = "ranks", "Across ranks", 35

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``ranks.csv``."""
        rows = rows_of(found.run)
        return {"ranks": frame(rows, RanksRow)} if rows else {}

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """Panels and a table for each setting, and what cannot be."""
        rows = rows_of(shown.run)
        if not rows:
            return None
        parts = []
        for place in settings(rows):
            own = [row for row in rows if setting_of(row) == place and row.status == "ok"]
            measured = [row for row in own if not row.refusal]
            refused = [(_named(row), row.refusal) for row in own if row.refusal]
            parts.append((group(place.heading, measured), _table(measured), refused))
        return fill(TEMPLATES / "ranks.html.j2", parts=parts)


def rows_of(run: Run) -> list[RanksRow]:
    """The rows of a run, the last one where a case was measured again."""
    records = {record.cell_id: record for record in run.others.get("ranks", [])}
    return ranks_rows([each for each in records.values() if isinstance(each, RanksRecord)])


def _named(row: RanksRow) -> str:
    return f"{row.variant}, {row.scaling}, {row.way} on {row.ranks}"


def _table(rows: Sequence[RanksRow]) -> Table:
    text = ["variant", "scaling", "way"]
    numeric = ["ranks", "samples", "whole call", "a step", "efficiency", "operations of a rank"]
    numeric += ["numbers received", "of it a step", "bytes received"]
    columns = [*html.columns(text, numeric), *html.columns(["flags"], [])]
    caption = "Calls that ranks share"
    return Table(caption, columns, [*map(_cells, rows)]).without_empty()


def _cells(row: RanksRow) -> list[Cell]:
    return [
        *html.texts(row.variant, row.scaling, row.way),
        html.whole(row.ranks),
        html.whole(row.samples),
        html.seconds(row.call_s, row.call_s_low, row.call_s_high),
        html.seconds(row.step_s),
        html.percent(row.efficiency, row.efficiency_low, row.efficiency_high),
        html.whole(row.operations),
        html.whole(row.wire_floats),
        html.whole(row.wire_floats_step),
        html.memory(row.wire_bytes),
        html.words(row.flags),
    ]
