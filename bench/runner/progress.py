"""Who is told how far a run is."""

from collections.abc import Sequence

from bench.plan.units import Unit
from bench.storage.records import Record


class Progress:
    """Is told how far a run is; shows what its subclasses make of it."""

    def begin(self, units: list[Unit]) -> None:
        """The run starts."""

    def unit(self, unit: Unit, records: Sequence[Record], seconds: float) -> None:
        """A unit is finished."""

    def end(self) -> None:
        """The run is over."""


class QuietProgress(Progress):
    """Says nothing."""
