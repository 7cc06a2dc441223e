"""Two environments beside each other, what differs first."""

from collections.abc import Mapping
from typing import Any

from reports.sections.environment import flat
from reports.text import html_tables as html
from reports.text.formatting import DASH
from reports.text.html_tables import Table


def machine_tables(
    first: Mapping[str, Any] | None, second: Mapping[str, Any] | None
) -> tuple[Table, Table]:
    """What differs, and what both have alike."""
    ours, theirs = (dict(flat(dict(environment or {}))) for environment in (first, second))
    names = list(dict.fromkeys([*ours, *theirs]))
    columns = html.columns(["entry", "first run", "second run"], [])
    apart = [name for name in names if ours.get(name) != theirs.get(name)]
    same = [name for name in names if name not in apart]
    rows = [html.texts(n, ours.get(n, DASH), theirs.get(n, DASH)) for n in apart]
    alike = [html.texts(name, ours[name]) for name in same]
    return (
        Table("What differs between the machines and the software", columns, rows),
        Table("What both runs have alike", html.columns(["entry", "both"], []), alike),
    )
