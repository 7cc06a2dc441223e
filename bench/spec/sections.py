"""The sections of a spec that measurements of other packages bring."""

from typing import Any

from bench import entry_points

MEASUREMENTS = "teleport_bench.measurements"
"""The group of entry points (see ``bench.measurements.measurement``)."""


def brought() -> dict[str, type[Any]]:
    """Name of a section -> the dataclass that holds it.

    Raises:
        RegistrationError: a measurement that cannot be imported.
    """
    found = map(entry_points.load, entry_points.found(MEASUREMENTS).values())
    return {each.name: each.settings for each in found if each.settings is not None}
