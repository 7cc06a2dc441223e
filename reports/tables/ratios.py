"""How many times as long as the fastest engine the other variants take, from paired samples.

All variants of a block were sampled in turn, so that a round's times pair up: what slows a round
down cancels. The reference is null-space teleport with the engine that ``auto`` picks.
"""

from collections.abc import Sequence

from bench.statistics.medians import Estimate
from bench.storage.records import CellRecord
from reports.run.run import NULLSPACE, SGD, as_float
from reports.tables.columns import Row, row_of
from reports.tables.grouped_medians import grouped_medians
from reports.tables.runtime import estimated
from reports.tables.wall_columns import partners_once, per_round, ratios, wall_columns

_UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"), 0)


class RatioRow(Row, frozen=True):
    """A cell that was sampled in turn with the reference, in ``ratios.csv``.

    ``step_ratio`` is the time of one step over the reference's, ``call_ratio`` that of both phases
    of all batches, without the checks of a whole call; both are medians over rounds with 95 %
    intervals. Of ``sgd`` only steps compare.
    """

    cell_id: str
    method: str
    variant: str
    reference: str
    model: str
    dataset: str
    device: str
    dtype: str
    t: int | None
    d: int | None
    n: int | None
    l: int | None  # noqa: E741  (the letter of the papers)
    b: int | None
    step_ratio: float
    step_ratio_low: float
    step_ratio_high: float
    call_ratio: float
    call_ratio_low: float
    call_ratio_high: float
    operations: int | None
    reference_operations: float
    rounds: float


def ratio_rows(cells: Sequence[CellRecord]) -> list[RatioRow]:
    """A row per cell that is ok and was sampled in turn with a reference that is."""
    reference = {
        (cell.block_id, cell.session): cell
        for cell in reversed(cells)
        if cell.variant == NULLSPACE and cell.status == "ok"
    }
    found = ((cell, reference.get((cell.block_id, cell.session))) for cell in cells)
    pairs = [(a, b) for a, b in found if b is not None and a is not b and a.status == "ok"]
    times = _ratios([cell for cell, _ in pairs], [under for _, under in pairs])
    return [
        _row(cell, under, step, call)
        for (cell, under), step, call in zip(pairs, *times, strict=True)
    ]


def _row(cell: CellRecord, under: CellRecord, step: Estimate, call: Estimate) -> RatioRow:
    return row_of(
        RatioRow,
        cell,
        reference=under.variant,
        **estimated("step_ratio", step),
        **estimated("call_ratio", call if cell.method != SGD else _UNKNOWN),
        reference_operations=as_float(under.operations),
        rounds=float(step.count),
    )


def _ratios(
    cells: Sequence[CellRecord], under: Sequence[CellRecord]
) -> tuple[list[Estimate], list[Estimate]]:
    """A step and a call of each cell over those of the one under it."""
    every, partner = partners_once(under)
    wall, below = wall_columns(cells), per_round(wall_columns(every))
    group = wall["cell"].to_numpy()
    step, call = (
        grouped_medians(ratios(wall, name, below, name, partner), group, len(cells))
        for name in ("step", "total")
    )
    return step, call
