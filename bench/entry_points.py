"""What is registered under a name: our own entries, and those of other packages.

A package adds a data set, a network, a measurement or a section of the page with an entry point,

    [project.entry-points."teleport_bench.datasets"]
    NAME = "package.module:OBJECT"

Ours stand in pyproject.toml like those of any package. From a source checkout they are read there,
so that nothing has to be installed, and an older installation beside it does not count.
"""

import tomllib
from functools import cache
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from bench.errors import RegistrationError

DISTRIBUTION = "teleport-bench"
_PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def found(group: str) -> dict[str, EntryPoint]:
    """Every entry of a group by name; ours first, in the order of pyproject.toml.

    Raises:
        RegistrationError: two packages use one name.
    """
    ours = _checkout(_PROJECT)
    entries = {name: EntryPoint(name, value, group) for name, value in ours.get(group, {}).items()}
    for point in metadata.entry_points(group=group):
        if ours and point.dist is not None and point.dist.name == DISTRIBUTION:
            continue
        if entries.setdefault(point.name, point).value != point.value:
            raise RegistrationError(
                f"expected one entry {point.name!r} in {group}; both {entries[point.name].value} "
                f"and {point.value} are registered: rename one of them"
            )
    return entries


def load(point: EntryPoint) -> Any:
    """The object that an entry names.

    Raises:
        RegistrationError: it cannot be imported, or its module lacks it.
    """
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise RegistrationError(
            f"expected {point.name!r} of {point.group} at {point.value}; {error}: install what it "
            "needs, or correct the entry point"
        ) from error


@cache
def _checkout(project: Path) -> dict[str, dict[str, str]]:
    """The entries in the pyproject.toml of a checkout, by group; none where there is no such."""
    try:
        described = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return {}
    groups: dict[str, dict[str, str]] = described.get("entry-points", {})
    return groups if described.get("name") == DISTRIBUTION else {}
