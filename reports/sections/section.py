"""A section of the page: its CSV files and its piece of HTML."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from markupsafe import Markup

from reports.run.run import SGD, Run
from reports.tables.analysis import Analysis
from reports.tables.runtime import CellRow
from reports.text.canvas import Style, styles

TEMPLATES = Path(__file__).parents[1] / "templates"


@dataclass(frozen=True)
class Shown:
    """What the page shows: all of an ordinary run, of a large one the part that matters.

    Attributes:
        analysis: of what is drawn.
        counts: a sentence on the whole run.
        listed: the rows of the table of all cells.
        files: names of the CSV files, of every section.
        history: a file of gate results, if there is one.
        whole: of the whole run, drawn or not.
    """

    analysis: Analysis
    counts: str
    listed: Sequence[CellRow]
    files: Sequence[str]
    history: Path | None
    whole: Analysis

    @property
    def run(self) -> Run:
        """The part of the run that is drawn."""
        return self.analysis.run

    @cached_property
    def styles(self) -> dict[str, Style]:
        """How every variant and arm is drawn, in each figure of the page.

        Variants come in the order in which they were asked for, arms of a training after them.
        """
        run, training = self.run, self.analysis.training
        asked = (run.spec or {}).get("methods")
        order = [str(name) for name in asked] if isinstance(asked, list) else []
        found = [
            *((cell.method, cell.variant) for cell in run.cells),
            *((curve.method, curve.variant) for curve in run.preservation),
            *((profile.method, profile.variant) for profile in run.profiles),
        ]
        variants = {variant for method, variant in found if method != SGD}
        known = {name: place for place, name in enumerate(order)}
        ours = sorted(variants, key=lambda name: (known.get(name, len(known)), name))
        arms = training.experiment.arms if training else []
        return styles(list(dict.fromkeys([*ours, *arms])))

    @property
    def nothing_timed(self) -> bool:
        """Whether the run only profiled or trained: sections on times and losses are left out."""
        run = self.run
        measured = run.cells or run.preservation or run.spectrum
        return bool(run.profiles or self.analysis.training) and not measured


class Fill(Protocol):
    """Fills a template with values; whatever is no ``Markup`` is escaped."""

    def __call__(self, template: Path, /, **values: Any) -> Markup:
        """The piece of HTML.

        Args:
            template: a file for Jinja. It may import the macros ``table``, ``legend`` and
                ``panel`` from "macros.html.j2". The page's policy lets no style attribute, no
                script and nothing from elsewhere take effect.
            values: the names it uses; one that is not given is an error.
        """
        ...


class Section(Protocol):
    """One section of the page; a class of its own that inherits has no tables unless it says so.

    Attributes:
        name: its id on the page; one word.
        title: the link to it.
        order: sections stand in ascending order; ours have 10, 20, ..., and those with one order
            stand by name.
        measured: whether it is left out, and its link, where a run did nothing but profile or
            train.
    """

    name: str
    title: str
    order: int
    measured: bool = False

    def tables(self, found: Analysis, /) -> dict[str, pd.DataFrame]:
        """Its tables, by the names of their CSV files, from the whole run."""
        return {}

    def render(self, shown: Shown, fill: Fill, /) -> Markup | None:
        """What stands between its ``<section>`` tags; None leaves section and link out."""
        ...
