"""What it costs: a step, a preparation, and the whole call that a user pays."""

from collections.abc import Sequence

from reports.run.run import SGD
from reports.run.setting import is_at, setting_of
from reports.tables.runtime import CellRow
from reports.text import html_tables as html
from reports.text.html_tables import Cell, Table


def cost_table(rows: Sequence[CellRow], base: dict[str, int]) -> Table:
    """The base point and every width that was measured there, a row per variant."""
    methods = [row for row in rows if row.method != SGD and row.status == "ok"]
    shown = [row for row in methods if is_at(row, base, but="d")]
    several = len({setting_of(row) for row in shown}) > 1
    text = ["setting", "variant"] if several else ["variant"]
    numeric = [
        "hidden width d",
        "SGD step",
        "teleport step",
        "step in SGD steps",
        "preparing a batch",
    ]
    numeric += ["whole call", "whole call in SGD steps"]
    cells = [[*_place(row, several=several), *_costs(row)] for row in shown]
    caption = "Of one batch: a step, preparing, and the whole call"
    return Table(caption, html.columns(text, numeric), cells).without_empty()


def cost_remarks(rows: Sequence[CellRow]) -> list[str]:
    """What the reader must know of whole calls that are missing."""
    methods = [row for row in rows if row.method != SGD and row.status == "ok"]
    if not methods or all(row.calls for row in methods):
        return []
    if not any(row.calls or row.call_note for row in methods):
        return ["Whole calls were not timed in this run."]
    return ["Some cells have no whole call; where one failed, the table of cells says why."]


def _place(row: CellRow, *, several: bool) -> list[Cell]:
    setting = [html.words(", ".join(setting_of(row)))] if several else []
    return [*setting, html.words(row.variant), html.whole(row.d)]


def _costs(row: CellRow) -> list[Cell]:
    return [
        html.seconds(row.sgd_s),
        html.seconds(row.step_s),
        html.numbers(row.sgd_steps, row.sgd_steps_low, row.sgd_steps_high),
        html.seconds(row.prepare_s),
        html.seconds(row.call_s, row.call_s_low, row.call_s_high),
        html.numbers(row.call_sgd_steps, row.call_sgd_steps_low, row.call_sgd_steps_high),
    ]
