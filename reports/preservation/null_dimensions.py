"""How many dimensions of each layer's input each rank rule leaves free."""

from collections.abc import Iterable, Sequence

from bench.storage.records import SpectrumRecord
from reports.tables.columns import Row, row_of
from reports.text import html_tables as html
from reports.text.formatting import percent, tau, whole
from reports.text.html_tables import Cell, Table

NUMERICAL = "numerical"
# The rules that say something else at tau = 1, in the order of the table.
_EXACT = {
    NUMERICAL: "numerical rank",
    "energy": "energy",
    "gpm": "GPM",
    "energy_float32": "energy in float32",
}
_BELOW = "energy"
_FED = "fed by data alone"


class NullDimensionsRow(Row, frozen=True):
    """A layer, rule and threshold in ``null_dimensions.csv``; dimensions out of ``rows``."""

    model: str
    dataset: str
    layer: str
    position: int | None
    rows: int | None
    columns: int | None
    data_fed: bool | None
    rule: str
    tau: float
    dimensions: float


def null_dimensions(spectrum: Iterable[SpectrumRecord]) -> list[NullDimensionsRow]:
    """A row per layer, rule and threshold."""
    return [
        row_of(NullDimensionsRow, free, record, dimensions=float(free.dimensions))
        for record in spectrum
        for free in record.free
    ]


def free_dimensions(record: SpectrumRecord, rule: str, threshold: float) -> int | None:
    """Free dimensions of one layer, or None where they were not counted."""
    found = (f.dimensions for f in record.free if (f.rule, f.tau) == (rule, threshold))
    return next(found, None)


def table(spectrum: Sequence[SpectrumRecord]) -> Table:
    """A row per layer: every rule at tau = 1, then energy at the thresholds below."""
    counted = [record for record in spectrum if record.free]
    of_energy = {free.tau for r in counted for free in r.free if free.rule == _BELOW}
    below = sorted((threshold for threshold in of_energy if threshold < 1.0), reverse=True)
    text = ["model", "data", "layer"]
    numeric = ["dimensions", "columns", *(f"{name}, τ = 1" for name in _EXACT.values())]
    numeric += [f"τ = {tau(threshold)}" for threshold in below]
    rows = [
        [
            *html.texts(record.model, record.dataset),
            html.words(record.layer)._replace(remark=_FED if record.data_fed else ""),
            html.whole(record.rows),
            html.whole(record.columns),
            *(_count(record, rule, 1.0) for rule in _EXACT),
            *(_count(record, _BELOW, threshold) for threshold in below),
        ]
        for record in counted
    ]
    caption = "Free dimensions of the input of each layer; below τ = 1 by the energy rule"
    found = Table(caption, html.columns(text, numeric), rows)
    return found.with_common_in_caption(("model", "data", "columns"))


def _count(record: SpectrumRecord, rule: str, threshold: float) -> Cell:
    found = free_dimensions(record, rule, threshold)
    if found is None:
        return html.UNKNOWN
    share = percent(found / record.rows) if found and record.rows else ""
    return Cell(whole(found), share, found)
