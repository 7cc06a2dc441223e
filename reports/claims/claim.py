"""What a row of the claims table is made from, and what it consists of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from reports.run.run import Record
from reports.runtime.schedule import CostTable
from reports.tables.growth import Setting

NULLSPACE = "nullspace"
SYMMETRY = "symmetry"


class Claim(NamedTuple):
    """A claim, where it stands, what was measured (a line each), and how to read that."""

    claim: str
    source: str
    measured: list[str]
    reading: str


@dataclass(frozen=True)
class Evidence:
    """The derived tables of a run; ``scaling`` row by row, the others as they were recorded."""

    scaling: Sequence[Record]
    preservation: Sequence[Record]
    spectrum: Sequence[Record]
    costs: Sequence[CostTable]

    def where(self, variant: str, setting: Setting) -> str:
        """The variant, with its setting where the run has several."""
        known = {tuple(row[name] for name in Setting._fields) for row in self.scaling}
        return variant if len(known) < 2 else f"{variant} ({', '.join(setting)})"
