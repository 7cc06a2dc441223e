"""Who is told how far a run is."""

from collections.abc import Sequence
from typing import Protocol

from bench.plan.units import Unit
from bench.storage.records import Record


class Progress(Protocol):
    """Shows how far a run is."""

    def begin(self, units: list[Unit]) -> None:
        """The run starts."""

    def unit(self, unit: Unit, records: Sequence[Record], seconds: float) -> None:
        """A unit is finished."""

    def end(self) -> None:
        """The run is over."""


class QuietProgress:
    """Says nothing."""

    def begin(self, units: list[Unit]) -> None:
        """The run starts."""

    def unit(self, unit: Unit, records: Sequence[Record], seconds: float) -> None:
        """A unit is finished."""

    def end(self) -> None:
        """The run is over."""
