"""What a row of the claims table is made from, and what it consists of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.storage.records import PreservationRecord, SpectrumRecord
from reports.run.setting import Setting
from reports.tables.growth import Grown
from reports.tables.schedule import CostTable


class Claim(NamedTuple):
    """A claim, where it stands, what was measured (a line each), how to read that, a verdict."""

    claim: str
    source: str
    measured: list[str]
    reading: str
    verdict: str


@dataclass(frozen=True)
class Evidence:
    """What of a run speaks to the claims."""

    growth: Sequence[Grown]
    preservation: Sequence[PreservationRecord]
    spectrum: Sequence[SpectrumRecord]
    costs: Sequence[CostTable]

    def where(self, variant: str, setting: Setting) -> str:
        """The variant, with its setting where the run has several."""
        known = {grown.setting for grown in self.growth}
        return variant if len(known) < 2 else f"{variant} ({', '.join(setting)})"
