"""How many dimensions of each layer's input each rank rule leaves free."""

from collections.abc import Iterable, Sequence

import pandas as pd

from reports.run.run import Record, number
from reports.tables.runtime import frame
from reports.text import html_tables as html
from reports.text.formatting import DASH, percent, tau, whole
from reports.text.html_tables import Cell, Table

COLUMNS = (
    *("model", "dataset", "layer", "position", "rows", "columns", "data_fed"),
    *("rule", "tau", "dimensions"),
)
NUMERICAL = "numerical"
# The rules that say something else at tau = 1, in the order of the table.
_EXACT = {
    NUMERICAL: "numerical rank",
    "energy": "energy",
    "gpm": "GPM",
    "energy_float32": "energy in float32",
}
_BELOW = "energy"


def null_dimensions(spectrum: Iterable[Record]) -> pd.DataFrame:
    """A row per layer, rule and threshold, ``COLUMNS``; dimensions out of ``rows``."""
    rows = [{**record, **entry} for record in spectrum for entry in record.get("free") or []]
    return frame(rows, COLUMNS)


def free(record: Record, rule: str, threshold: float) -> int | None:
    """Free dimensions of one layer, or None where they were not counted."""
    for entry in record.get("free") or []:
        if entry["rule"] == rule and number(entry["tau"]) == threshold:
            return int(entry["dimensions"])
    return None


def table(spectrum: Sequence[Record]) -> Table:
    """A row per layer: every rule at tau = 1, then energy at the thresholds below."""
    counted = [record for record in spectrum if record.get("free")]
    below = sorted(
        {
            number(entry["tau"])
            for record in counted
            for entry in record["free"]
            if entry["rule"] == _BELOW and number(entry["tau"]) < 1.0
        },
        reverse=True,
    )
    text = ["model", "data", "layer"]
    numeric = ["dimensions", "columns", *(f"{name}, τ = 1" for name in _EXACT.values())]
    numeric += [f"τ = {tau(threshold)}" for threshold in below]
    rows = [
        [
            *(html.words(record[key]) for key in ("model", "dataset")),
            html.words(record["layer"])._replace(
                remark="fed by data alone" if record.get("data_fed") else ""
            ),
            html.whole(record.get("rows")),
            html.whole(record.get("columns")),
            *(_count(record, rule, 1.0) for rule in _EXACT),
            *(_count(record, _BELOW, threshold) for threshold in below),
        ]
        for record in counted
    ]
    caption = "Free dimensions of the input of each layer; below τ = 1 by the energy rule"
    found = Table(caption, html.columns(text, numeric), rows, sortable=True)
    return found.with_common_in_caption(("model", "data", "columns"))


def _count(record: Record, rule: str, threshold: float) -> Cell:
    found = free(record, rule, threshold)
    if found is None:
        return Cell(DASH, "", "")
    share = percent(found / record["rows"]) if found and record.get("rows") else ""
    return Cell(whole(found), share, found)
