"""The section that sets all methods side by side, network by network."""

from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from reports.networks.tables import NetworkRow, network_rows
from reports.run.run import Run
from reports.run.setting import setting_of, settings
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.text import html_tables as html
from reports.text.html_tables import Cell, Table


class Networks(Section):
    """Left out, table and all, where no method was tried on networks."""

    name, title, order = "networks", "Methods on networks", 9

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``networks.csv``."""
        rows = rows_of(found.run)
        return {"networks": frame(rows, NetworkRow)} if rows else {}

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """A table a network, and what does not apply there."""
        rows = rows_of(shown.run)
        if not rows:
            return None
        parts = []
        for place in settings(rows):
            own = [row for row in rows if setting_of(row) == place and row.status == "ok"]
            refused = [(row.variant, row.refusal) for row in own if row.refusal]
            table = _table([row for row in own if not row.refusal])
            parts.append((place.heading, table, refused))
        return fill(TEMPLATES / "networks.html.j2", parts=parts)


def rows_of(run: Run) -> list[NetworkRow]:
    """The rows of a run, the last one where a method was measured again."""
    records = {record.cell_id: record for record in run.others.get("network", [])}
    return network_rows([*records.values()])


def _table(rows: Sequence[NetworkRow]) -> Table:
    text = ["variant", "guarantee", "ended"]
    numeric = ["step in SGD steps", "preparing in SGD steps", "whole call in SGD steps"]
    numeric += ["peak memory", "growth of ||g||²", "for each SGD step of its cost"]
    numeric += ["drift on the batch", "on other data"]
    caption = "What each method costs, keeps and gains"
    return Table(caption, html.columns(text, numeric), [*map(_cells, rows)])


def _cells(row: NetworkRow) -> list[Cell]:
    return [
        *html.texts(row.variant, _words(row.guarantee), _words(row.teleport_status)),
        html.numbers(row.step_sgd_steps, row.step_sgd_steps_low, row.step_sgd_steps_high),
        html.numbers(row.prepare_sgd_steps),
        html.numbers(row.call_sgd_steps, row.call_sgd_steps_low, row.call_sgd_steps_high),
        html.memory(row.peak_memory_bytes),
        html.numbers(row.growth),
        html.numbers(row.growth_per_sgd_step),
        html.small(row.drift),
        html.small(row.heldout_drift),
    ]


def _words(name: str) -> str:
    return name.lower().replace("_", " ")
