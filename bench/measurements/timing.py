"""Times, memory and operations of the cells of a block."""

from bench.plan.points import Plan
from bench.plan.units import Unit, block_unit
from bench.storage.records import CellRecord, ReferenceRecord


class Timing:
    """The cells of each point, sampled in turn; [sampling] of every spec says how often."""

    name = "block"
    settings = None
    records = (CellRecord, ReferenceRecord)
    runs = "bench.worker.block:run_block"

    def units(self, plan: Plan) -> list[Unit]:
        """A unit a block, with all its cells."""
        return [block_unit(plan.spec, block) for block in plan.blocks]


TIMING = Timing()
