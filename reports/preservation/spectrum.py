"""The section on the spectrum of the layers' inputs and what it leaves free."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from bench.storage.records import SpectrumRecord
from reports.preservation import null_dimensions, spectrum_figures
from reports.preservation.eigenvalues import SECOND_LAYER, eigenvectors_for
from reports.preservation.error_tables import SpectrumRow, spectrum_rows
from reports.preservation.null_dimensions import NullDimensionsRow
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.text import html_tables as html
from reports.text.html_tables import Table


class Spectrum(Section):
    """Figure 6a, and the dimensions that each rank rule leaves free."""

    name, title, order, measured = "spectrum", "Spectrum", 30, True

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``spectrum.csv`` and ``null_dimensions.csv``."""
        spectrum = found.run.spectrum
        free = null_dimensions.null_dimensions(spectrum)
        return {
            "spectrum": frame([*spectrum_rows(spectrum)], SpectrumRow),
            "null_dimensions": frame(free, NullDimensionsRow),
        }

    def render(self, shown: Shown, fill: Fill) -> Markup:
        """Panels and two tables."""
        spectrum, front = shown.run.spectrum, _front(shown.run.spec)
        return fill(
            TEMPLATES / "spectrum.html.j2",
            overview=spectrum_figures.spectrum_overview(spectrum, front),
            groups=spectrum_figures.spectrum_groups(spectrum, front),
            entries=spectrum_figures.spectrum_legend(front),
            spectrum=spectrum_table(spectrum),
            null_dimensions=null_dimensions.table(spectrum),
        )


def _front(spec: dict[str, Any] | None) -> list[int]:
    """The layers whose spectrum was asked for."""
    section = (spec or {}).get("preservation")
    asked = section.get("layers") if isinstance(section, dict) else None
    numbers = asked if isinstance(asked, list) else []
    return [n for n in numbers if isinstance(n, int)] or [SECOND_LAYER]


def spectrum_table(records: Sequence[SpectrumRecord]) -> Table:
    """A row per layer: how many eigenvectors hold how much."""
    text = ["model", "data", "layer"]
    numeric = ["position", "input dimensions", "eigenvectors", "for 50 %", "for 90 %", "for 99 %"]
    rows = [
        [
            *html.texts(record.model, record.dataset, record.layer),
            html.whole(record.position),
            html.whole(record.rows),
            html.whole(len(record.eigenvalues)),
            *(html.whole(eigenvectors_for(record, share)) for share in (0.5, 0.9, 0.99)),
        ]
        for record in records
    ]
    caption = "Eigenvectors needed for a share of the energy"
    return Table(caption, html.columns(text, numeric), rows)
