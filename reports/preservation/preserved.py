"""The section on what the steps do to loss and gradient."""

import math
from collections.abc import Sequence

import pandas as pd
from markupsafe import Markup

from bench.storage.records import PreservationRecord
from reports.preservation.curve_figures import preservation_groups
from reports.preservation.curves import curve_order, gain, largest
from reports.preservation.error_tables import PreservationRow, preservation_rows
from reports.run.run import as_float
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.text import html_tables as html
from reports.text.formatting import tau
from reports.text.html_tables import Cell, Column, Table


class Preserved(Section):
    """Figure 6b, and a row per curve."""

    name, title, order, measured = "preservation", "Preservation", 20, True

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``preservation.csv``."""
        return {"preservation": frame(preservation_rows(found.run.preservation), PreservationRow)}

    def render(self, shown: Shown, fill: Fill) -> Markup:
        """Panels and a table."""
        return fill(
            TEMPLATES / "preservation.html.j2",
            groups=preservation_groups(shown.run.preservation, shown.styles),
            preservation=preservation_table(shown.run.preservation),
        )


def preservation_table(records: Sequence[PreservationRecord]) -> Table:
    """A row per curve of Figure 6b."""
    text = ["variant", "model", "data", "start"]
    numeric = ["τ", "learning rate", "steps", "‖g‖² grew", "largest drift", "in float64"]
    numeric += ["held-out drift", "pre-activation change", "its bound"]
    last = [Column(label, False) for label in ("guarantee", "ended", "free dimensions")]
    rows = [_curve_cells(record) for record in sorted(records, key=curve_order)]
    caption = "Loss and gradient along the steps, a row per curve"
    found = Table(caption, [*html.columns(text, numeric), *last], rows).without_empty()
    return found.with_common_in_caption(("model", "data", "start", "steps", "ended"))


def _curve_cells(record: PreservationRecord) -> list[Cell]:
    ended = record.teleport_status or ""
    threshold = as_float(record.tau)
    changes = ("drift_float32", "drift_float64", "heldout_drift", "preactivation_change")
    return [
        *html.texts(record.variant, record.model, record.dataset, record.start),
        Cell(tau(threshold), "", threshold),
        html.numbers(as_float(record.lr)),
        html.whole(max(len(record.rows) - 1, 0)),
        _times(gain(record)),
        *(html.small(largest(record, key)) for key in (*changes, "preactivation_bound")),
        html.words(_spoken(record.guarantee or "")),
        html.words(_spoken(ended) if record.status == "ok" else record.status),
        html.words(_free_dimensions(record)),
    ]


def _spoken(constant: str) -> str:
    return constant.replace("_", " ").lower()


def _times(ratio: float) -> Cell:
    cell = html.numbers(ratio)
    return cell._replace(text=cell.text + "-fold") if math.isfinite(ratio) else cell


def _free_dimensions(record: PreservationRecord) -> str:
    """``1.weight 480, 2.weight 96``; layers that only data feeds cannot move and are left out."""
    found = record.null_dims or {}
    parts = [f"{name} {'+'.join(map(str, dims))}" for name, dims in found.items() if dims]
    return ", ".join(parts)
