"""The last two sections: how to read the page, and how to repeat the run."""

import pandas as pd
from markupsafe import Markup

from reports.sections.section import TEMPLATES, Fill, Shown
from reports.tables.analysis import Analysis


class Reading:
    """The words that the page uses."""

    name, title, order = "reading", "How to read", 130

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """None."""
        return {}

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """A list of terms."""
        return fill(TEMPLATES / "reading.html.j2")


class Repeat:
    """The command of the run and its files."""

    name, title, order = "repeat", "Repeat", 140

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """None."""
        return {}

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """The command, and links to every file."""
        command = (shown.run.spec or {}).get("command", "")
        return fill(TEMPLATES / "repeat.html.j2", command=command, files=shown.files)
