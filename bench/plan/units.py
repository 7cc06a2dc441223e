"""What a run consists of: commands for the worker, and what the journal says is still missing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.plan.points import Block, Plan, Point, places, preservation_id
from bench.plan.shards import WHOLE, Shard
from bench.seeds import stable_hash
from bench.spec.checks import number
from bench.spec.spec import Spec
from bench.spec.variants import SGD, Variant

Record = dict[str, Any]

# What a command says of the point to build; a measurement beside the clock sweeps nothing.
PLACE = ("point", "seed", "bias", "data_dir", "threads", "swept")

# What the section's ``taus`` are called where a variant fixes its own. A method whose threshold has
# another name is followed by the worker, which asks it for that.
_TAU = "tau"


@dataclass(frozen=True)
class Unit:
    """One command: a block, or a measurement beside the clock.

    Attributes:
        unit: its id in the journal.
        label: what the progress shows.
        command: what is sent to the worker.
        base: what every record of it has in common.
        cell_ids: the cells of a block; of another unit, one id for its failure.
    """

    unit: str
    label: str
    command: Record
    base: Record
    cell_ids: tuple[str, ...]

    @property
    def is_block(self) -> bool:
        """Whether it is timed."""
        return bool(self.command["do"] == "block")


def make_units(plan: Plan, records: list[Record], part: Shard = WHOLE) -> list[Unit]:
    """Everything of a plan that the journal does not hold yet, in order.

    The blocks of the plan are those of ``part`` already; of what is measured beside the clock
    every part takes its own share.
    """
    done = {record["cell_id"] for record in records if record["kind"] == "cell"}
    units = [
        block_unit(plan.spec, block, done)
        for block in plan.blocks
        if any(cell.cell_id not in done for cell in block.cells)
    ]
    finished = finished_units(records)
    extra = [
        unit
        for place in places(plan.spec)
        for unit in (*_spectrum_units(place), *_preservation_units(place))
    ]
    own = [unit for place, unit in enumerate(extra) if part.owns(place)]
    return units + [unit for unit in own if unit.unit not in finished]


def finished_units(records: list[Record]) -> set[str]:
    """Units beside the clock of which every record is there."""
    counts = Counter(record["unit"] for record in records if "unit" in record)
    return {
        record["unit"]
        for record in records
        if "unit" in record and counts[record["unit"]] >= record.get("of", 1)
    }


def _common(spec: Spec, point: Point) -> Record:
    return {
        "point": asdict(point),
        "seed": spec.seed,
        "bias": spec.bias,
        "data_dir": spec.data_dir,
        "threads": spec.threads,
    }


def block_unit(spec: Spec, block: Block, done: set[str]) -> Unit:
    """The cells of a block that are not in the journal yet.

    Where ``sgd`` is there already it is timed once more beside them, as a reference: samples pair
    up only within one process.
    """
    every = [
        {"cell_id": cell.cell_id, "variant": str(cell.variant), "method": cell.variant.method}
        for cell in block.cells
    ]
    cells = with_reference([cell for cell in every if cell["cell_id"] not in done], every)
    letters = " ".join(f"{name}={value}" for name, value in block.point.letters().items())
    return Unit(
        unit=block.block_id,
        label=letters,
        command={
            "do": "block",
            "block_id": block.block_id,
            "cells": cells,
            "sampling": asdict(spec.sampling),
            "swept": list(spec.swept),
            **_common(spec, block.point),
        },
        base={"kind": "cell", "block_id": block.block_id, **asdict(block.point)},
        cell_ids=tuple(cell["cell_id"] for cell in cells),
    )


def with_reference(missing: list[Record], cells: list[Record]) -> list[Record]:
    """The missing cells, led by the block's ``sgd``, marked as a reference if it is not missing."""
    if not missing or any(cell["method"] == SGD.method for cell in missing):
        return missing
    sgd = next((cell for cell in cells if cell["method"] == SGD.method), None)
    return missing if sgd is None else [{**sgd, "reference": True}, *missing]


def _preservation_units(spec: Spec) -> list[Unit]:
    section = spec.preservation
    if not section.enabled:
        return []
    return [
        _preservation_unit(spec, variant, start)
        for start in section.starts
        for variant in section.variants
    ]


def _preservation_point(spec: Spec, batches: int) -> Point:
    section = spec.preservation
    return Point(
        t=section.steps,
        d=section.d,
        n=section.n,
        l=section.l,
        b=batches,
        model=spec.model,
        dataset=spec.data,
        device=spec.device,
        dtype=spec.dtype,
    )


def _preservation_unit(spec: Spec, variant: Variant, start: str) -> Unit:
    own = variant.options.get(_TAU)
    taus = spec.preservation.taus if own is None else (number(_TAU, own, above=0, at_most=1),)
    items = [{"cell_id": preservation_id(spec, variant, tau, start), "tau": tau} for tau in taus]
    point = _preservation_point(spec, batches=8)
    unit = stable_hash(["preservation", [item["cell_id"] for item in items]])[:16]
    return Unit(
        unit=unit,
        label=f"preservation of {variant}, start {start}, {spec.model} on {spec.data}",
        command={
            "do": "preservation",
            "unit": unit,
            "variant": str(variant),
            "start": start,
            "growth": spec.preservation.growth,
            "items": items,
            **_common(spec, point),
        },
        base={
            "kind": "preservation",
            "unit": unit,
            "method": variant.method,
            "variant": str(variant),
            "start": start,
            "tau": taus[0],
            "rows": [],
            **_place(point),
        },
        cell_ids=(str(items[0]["cell_id"]),),
    )


def _place(point: Point) -> Mapping[str, Any]:
    """The point without b, of which such a record uses one."""
    return {key: value for key, value in asdict(point).items() if key != "b"}


def _spectrum_units(spec: Spec) -> list[Unit]:
    if not spec.preservation.enabled:
        return []
    point = _preservation_point(spec, batches=1)
    unit = stable_hash(["spectrum", _common(spec, point)])[:16]
    return [
        Unit(
            unit=unit,
            label=f"spectrum of the layer inputs, {spec.model} on {spec.data}",
            command={
                "do": "spectrum",
                "unit": unit,
                "taus": list(spec.preservation.taus),
                **_common(spec, point),
            },
            base={"kind": "spectrum", "unit": unit, **_place(point)},
            cell_ids=(unit,),
        )
    ]
