"""The table of all points of all descents."""

from collections.abc import Sequence

from bench.storage.kinds.descent_records import DescentRecord
from reports.tables.columns import Row, row_of


class VisitRow(Row, frozen=True):
    """A point of a descent in ``descents.csv``; ``teleported``: a teleport led to it, 0 or 1."""

    model: str
    dataset: str
    variant: str
    step: int
    teleported: int
    x: float
    y: float
    loss: float | None
    grad_norm_sq: float | None
    status: str
    reason: str


def visit_rows(descents: Sequence[DescentRecord]) -> list[VisitRow]:
    """A row a point, in order; of a descent that failed none."""
    return [
        row_of(VisitRow, visit, descent, teleported=int(visit.teleported))
        for descent in descents
        for visit in descent.visits
    ]
