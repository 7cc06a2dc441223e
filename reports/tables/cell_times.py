"""What the samples of many cells come to, from columns: ``summary`` and ``paired`` of all at once.

See ``reports.tables.runtime`` for both, and for what they say of a single cell.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bench.statistics.medians import Estimate
from bench.storage.records import CellRecord
from reports.tables.grouped_medians import Floats, grouped_medians
from reports.tables.wall_columns import partners_once, per_round, ratios, wall_columns

_UNKNOWN = Estimate(float("nan"), float("nan"), float("nan"), 0)


class CellTimes(NamedTuple):
    """Medians over the wall-clock samples of a cell, and over those paired with SGD, in seconds.

    ``prepare`` is of all batches of a call, ``step`` and ``sgd`` of a single step.
    """

    total: Estimate
    prepare: Estimate
    step: Estimate
    sgd: Estimate
    sgd_steps: Estimate
    phases_sgd_steps: Estimate


def cell_times(
    cells: Sequence[CellRecord], partners: Mapping[str, CellRecord], levels: Sequence[float]
) -> list[CellTimes]:
    """The times of every cell.

    Args:
        cells: [cells].
        partners: cell -> the SGD steps it was sampled in turn with.
        levels: that of the intervals of each cell, [cells].
    """
    beside, partner = partners_once([partners.get(cell.cell_id) for cell in cells])
    wall, sgd = wall_columns(cells), per_round(wall_columns(beside))
    group, count = wall["cell"].to_numpy(), len(cells)
    of_sgd = grouped_medians(sgd["step"].to_numpy(), sgd["cell"].to_numpy(), len(beside))
    sampled = (np.bincount(group, minlength=count) > 0) & (partner >= 0)

    def medians(values: Floats, levels: Sequence[float] | None = None) -> list[Estimate]:
        return grouped_medians(values, group, count, levels)

    columns = (
        medians(wall["total"].to_numpy(), levels),
        medians(wall["prepare"].to_numpy()),
        medians(wall["step"].to_numpy()),
        [of_sgd[i] if known else _UNKNOWN for i, known in zip(partner, sampled, strict=True)],
        medians(ratios(wall, "step", sgd, "step", partner), levels),
        medians(ratios(wall, "total", sgd, "step", partner), levels),
    )
    return [CellTimes(*each) for each in zip(*columns, strict=True)]
