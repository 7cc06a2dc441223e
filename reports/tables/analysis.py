"""What is derived from the cells of a run, once, for all sections."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.storage.training_records import TrialFacts
from reports.run.run import Run
from reports.run.setting import base_point
from reports.tables.crossings import Crossed, crossings
from reports.tables.growth import Grown, growths
from reports.tables.ratios import RatioRow, ratio_rows
from reports.tables.roofline import roof_of
from reports.tables.runtime import CellRow, cell_rows
from reports.tables.schedule import CostTable, cost_tables
from reports.training.judged import Judged, judged


@dataclass(frozen=True)
class Analysis:
    """A run with what its cells come to.

    Attributes:
        run: the records, and what else the run directory holds.
        base: the levels while another axis is swept.
        cells: a row per cell.
        growth: how each phase of each variant grows along each axis.
        ratios: a row per cell that was sampled in turn with null-space teleport.
        crossings: where which of them is faster.
    """

    run: Run
    base: dict[str, int]
    cells: Sequence[CellRow]
    growth: Sequence[Grown]
    ratios: Sequence[RatioRow]
    crossings: Sequence[Crossed]

    @cached_property
    def costs(self) -> tuple[list[CostTable], list[str]]:
        """The costs of the paper's schedule, and why some are missing."""
        return cost_tables(self.run.cells, self.run.partners, self.base)

    @cached_property
    def training(self) -> Judged | None:
        """What the training experiment comes to; None where there is none.

        Raises:
            bench.errors.JournalError: evaluations that are no curve.
        """
        return judged(self.run)

    @property
    def trained(self) -> list[TrialFacts]:
        """What names the trials of the training experiment; none where there is none."""
        return [each.facts for each in self.training.experiment.courses] if self.training else []


def analysed(run: Run) -> Analysis:
    """What the cells of a run come to."""
    base = base_point(run.cells, run.spec)
    ratios = ratio_rows(run.cells)
    return Analysis(
        run=run,
        base=base,
        cells=cell_rows(run.cells, run.partners, roof_of(run.environment)),
        growth=growths(run.cells, base),
        ratios=ratios,
        crossings=crossings(ratios, base),
    )
