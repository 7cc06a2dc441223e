"""The section on the machine and the versions."""

from typing import Any

from markupsafe import Markup

from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.text import html_tables as html
from reports.text.formatting import DASH
from reports.text.html_tables import Table


class Environment(Section):
    """What ``environment.json`` holds."""

    name, title, order = "environment", "Environment", 110

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """One table."""
        table = environment_table(shown.run.environment or {})
        return fill(TEMPLATES / "environment.html.j2", environment=table)


def environment_table(environment: dict[str, Any]) -> Table:
    """A row per entry; nested entries get a dotted name."""
    rows = [html.texts(key, value) for key, value in flat(environment)]
    return Table("What it ran on", html.columns(["entry", "value"], []), rows)


def flat(environment: dict[str, Any]) -> list[tuple[str, str]]:
    """Every entry under its dotted name, as the page prints it."""
    return [(key, _plain(value)) for key, value in _entries("", environment)]


def _entries(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = {str(number): item for number, item in enumerate(value, 1)}
    if not isinstance(value, dict):
        return [(prefix, value)]
    named = [(f"{prefix}.{key}" if prefix else key, item) for key, item in value.items()]
    return [entry for name, item in named for entry in _entries(name, item)]


def _plain(value: Any) -> str:
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(_plain(item) for item in value) if isinstance(value, list) else str(value)
