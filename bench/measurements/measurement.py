"""What a kind of measurement has to say of itself, and those that are registered.

Another package adds one with

    [project.entry-points."teleport_bench.measurements"]
    NAME = "package.module:OBJECT"

where OBJECT is a ``Measurement`` of that name. Its module is loaded by the command line, too, and
so imports no torch; what carries out a unit is named by ``runs`` and imported by the worker alone.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from bench import entry_points
from bench.plan.points import Plan
from bench.plan.units import Unit
from bench.spec.sections import MEASUREMENTS
from bench.storage.records import Record


class Measurement(Protocol):
    """A kind of measurement."""

    @property
    def name(self) -> str:
        """What a unit's command does: the "do" that it tells the worker."""

    @property
    def settings(self) -> type[Any] | None:
        """A dataclass: the section [name] of a spec, which is ``spec.sections[name]`` of a plan.

        None where it has none, or where it is a field of the spec itself.
        """

    @property
    def records(self) -> Sequence[type[Record]]:
        """What the lines of its journal are: a subclass of ``Record`` with a ``tag`` each."""

    @property
    def runs(self) -> str:
        """``package.module:function``; called in the worker as ``function(command, emit)``.

        It emits {"event": "record", "record": {...}} for every record as soon as it is known, and
        that goes into the journal at once. Of those that the journal holds already when a run is
        resumed, ``command["done"]`` lists the cell_ids. Between two signs of life, a record or
        {"event": "note", "cell_id": ...}, no more time may pass than the run's --timeout.
        """

    def units(self, plan: Plan) -> list[Unit]:
        """What a plan asks for, whether it is in the journal or not."""


def measurements() -> list[Measurement]:
    """Every measurement, ours first.

    Raises:
        RegistrationError: two of one name, or one that cannot be imported.
    """
    return [entry_points.load(point) for point in entry_points.found(MEASUREMENTS).values()]
