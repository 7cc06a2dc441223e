"""The section with Figure 3, panels in each of two units, once per setting, and the costs."""

from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from reports.run.setting import Setting, setting_of, settings, taken
from reports.runtime import figures
from reports.runtime.costs import cost_remarks, cost_table
from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.tables.runtime import CellRow, samples
from reports.text import formatting
from reports.text.canvas import Drawing, Entry, Style, legend

_VIEW_NAMES = {"seconds": "Seconds", "sgd_steps": "SGD steps"}


class View(NamedTuple):
    """The panels in one unit, and how many cells have no value in it."""

    key: str
    name: str
    drawings: list[Drawing]
    unpaired: int


class Figure(NamedTuple):
    """Figure 3 in one setting."""

    heading: str
    legend: list[Entry]
    views: list[View]
    failures: list[figures.Failure]


class Panels(Section):
    """Time of prepare and steps against t, d, n, l and b, and what a whole call costs."""

    name, title, order, measured = "runtime", "Runtime", 10, True

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``runtime.csv`` and ``samples.csv``."""
        return {"runtime": frame(found.cells, CellRow), "samples": samples(found.run.cells)}

    def render(self, shown: Shown, fill: Fill) -> Markup:
        """The panels of every setting, and one table."""
        found = shown.analysis
        chosen = shown.styles
        return fill(
            TEMPLATES / "runtime.html.j2",
            base=formatting.point(taken(found.cells, found.base)),
            figures=[_figure(found, setting, chosen) for setting in settings(found.cells)],
            costs=cost_table(found.cells, found.base),
            cost_remarks=cost_remarks(found.cells),
            words=formatting.WORDS,
        )


def _figure(found: Analysis, setting: Setting, chosen: dict[str, Style]) -> Figure:
    views = []
    failures: list[figures.Failure] = []
    for key, name in _VIEW_NAMES.items():
        panels = figures.panels(found.cells, found.growth, setting, found.base, key)
        drawings = figures.draw(panels, chosen)
        views.append(View(key, name, drawings, sum(panel.unpaired for panel in panels)))
        failures = [failure for panel in panels for failure in panel.failures]
    drawn = {row.variant for row in found.cells if setting_of(row) == setting}
    entries = {name: style for name, style in chosen.items() if name in drawn}
    return Figure(setting.heading, legend(entries), views, failures)
