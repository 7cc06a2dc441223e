"""Who is told how far a run is."""

from typing import Protocol

from bench.plan.units import Record, Unit


class Progress(Protocol):
    """Shows how far a run is."""

    def begin(self, units: list[Unit]) -> None:
        """The run starts."""

    def unit(self, unit: Unit, records: list[Record], seconds: float) -> None:
        """A unit is finished."""

    def end(self) -> None:
        """The run is over."""


class QuietProgress:
    """Says nothing."""

    def begin(self, units: list[Unit]) -> None:
        """The run starts."""

    def unit(self, unit: Unit, records: list[Record], seconds: float) -> None:
        """A unit is finished."""

    def end(self) -> None:
        """The run is over."""
