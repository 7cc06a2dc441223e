"""Which cells are profiled, as commands for the worker."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.errors import SpecError
from bench.plan.points import Block, Plan
from bench.plan.units import Unit, block_unit, missing_units
from bench.seeds import stable_hash
from bench.storage.records import Record

MOST_CELLS = 16
"""The TensorBoard plugin starts one process for every trace, all at once."""

LEAST_ACTIVE = 3
"""Calls in a trace; the TensorBoard plugin may drop trailing ones."""


@dataclass(frozen=True)
class Detail:
    """What is recorded besides times, of ``active`` calls.

    Of every operator the shapes of its inputs and its Python stack (large, and slow to record),
    and every allocation.
    """

    shapes: bool = True
    memory: bool = True
    stacks: bool = False
    active: int = LEAST_ACTIVE


def base_blocks(plan: Plan) -> list[Block]:
    """The block of the base point; the first one where no swept point is the base."""
    base = dict(plan.spec.base)
    at_base = [block for block in plan.blocks if block.point.letters() == base]
    return at_base or list(plan.blocks[:1])


def profile_units(
    plan: Plan, blocks: Sequence[Block], run: Path, detail: Detail, records: Sequence[Record]
) -> list[Unit]:
    """One unit a block, for every block whose profiles ``records`` do not hold yet.

    Raises:
        SpecError: more than ``MOST_CELLS`` cells.
    """
    cells = sum(len(block.cells) for block in blocks)
    if cells > MOST_CELLS:
        raise SpecError(
            f"expected at most {MOST_CELLS} cells to profile, sgd among them; got {cells}, and "
            "TensorBoard would read all traces at once: name fewer --method or levels of --axis"
        )
    return missing_units([_unit(plan, block, run, detail) for block in blocks], records)


def _unit(plan: Plan, block: Block, run: Path, detail: Detail) -> Unit:
    timed = block_unit(plan.spec, block)
    name = stable_hash(["profile", block.block_id, asdict(detail)])[:16]
    command = {key: value for key, value in timed.command.items() if key != "sampling"}
    return Unit(
        unit=name,
        label=f"profile at {timed.label}",
        command={
            **command,
            "do": "profile",
            "unit": name,
            "run": str(run.resolve()),
            "detail": asdict(detail),
        },
        base={**timed.base, "kind": "profile", "unit": name, "method": "all", "variant": "all"},
        cell_ids=(name,),
    )
