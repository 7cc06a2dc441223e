"""Units of work: commands for the worker, and which of them the journal lacks, or lacks in part."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.plan.points import Block, Point
from bench.spec.spec import Spec
from bench.spec.variants import SGD
from bench.storage.records import Record, cells_of

Command = dict[str, Any]

# What a command says of the point to build; a measurement beside the clock sweeps nothing.
PLACE = ("point", "seed", "bias", "data_dir", "threads", "swept")


@dataclass(frozen=True)
class Unit:
    """One command: a block, or a measurement beside the clock."""

    unit: str  # its id in the journal
    label: str  # what the progress shows
    command: Command  # what is sent to the worker
    base: Command  # what every record of it has in common, and one of its failure needs
    cell_ids: tuple[str, ...]  # the cells of a block; of another unit, one id for its failure
    needs: tuple[str, ...] = ()  # units whose records it is given, as "given" of its command
    group: str = ""  # units of one group stay in one part of a sweep
    kind: str = ""  # units of one kind take about as long

    @property
    def is_block(self) -> bool:
        """Whether it is timed."""
        return bool(self.command["do"] == "block")


def missing_cells(blocks: Iterable[Unit], records: Iterable[Record]) -> list[Unit]:
    """The blocks that lack cells, each with those alone; see ``with_reference``."""
    done = {record.cell_id for record in cells_of(records)}
    return [_without(block, done) for block in blocks if set(block.cell_ids) - done]


def missing_units(units: Iterable[Unit], records: Sequence[Record]) -> list[Unit]:
    """The units beside the clock that are not complete.

    The command of one that is there in part names as "done" the ids of the records that are there.
    """
    finished = finished_units(records)
    there = _ids(records)
    return [
        replace(unit, command={**unit.command, "done": sorted(there[unit.unit])})
        if unit.unit in there
        else unit
        for unit in units
        if unit.unit not in finished
    ]


def finished_units(records: Iterable[Record]) -> set[str]:
    """Units beside the clock of which every record is there, or one that says why not."""
    records = list(records)
    there = _ids(records)
    return {
        record.unit
        for record in records
        if record.unit is not None and len(there[record.unit]) >= (record.of or 1)
    }


def _ids(records: Iterable[Record]) -> dict[str, set[str]]:
    """Unit -> the ids of its records; one that was measured again counts once."""
    found: dict[str, set[str]] = {}
    for record in records:
        if record.unit is not None:
            found.setdefault(record.unit, set()).add(record.cell_id or "")
    return found


def common(spec: Spec, point: Point) -> Command:
    """What a command says of the point to build."""
    return {
        "point": asdict(point),
        "seed": spec.seed,
        "bias": spec.bias,
        "data_dir": spec.data_dir,
        "threads": spec.threads,
    }


def block_unit(spec: Spec, block: Block) -> Unit:
    """All cells of a block."""
    cells = [
        {"cell_id": cell.cell_id, "variant": str(cell.variant), "method": cell.variant.method}
        for cell in block.cells
    ]
    letters = block.point.letters()
    untaken = {letter: None for letter in letters if letter not in spec.letters}
    label = " ".join(f"{letter}={letters[letter]}" for letter in spec.letters)
    return Unit(
        unit=block.block_id,
        label=label,
        command={
            "do": "block",
            "block_id": block.block_id,
            "cells": cells,
            "sampling": asdict(spec.sampling),
            "swept": list(spec.swept),
            **common(spec, block.point),
        },
        base={"kind": "cell", "block_id": block.block_id, **asdict(block.point), **untaken},
        cell_ids=tuple(cell["cell_id"] for cell in cells),
    )


def _without(block: Unit, done: set[str]) -> Unit:
    """The cells of a block that are not done, with ``sgd``: samples pair up within a process."""
    every = block.command["cells"]
    cells = with_reference([cell for cell in every if cell["cell_id"] not in done], every)
    ids = tuple(cell["cell_id"] for cell in cells)
    return replace(block, command={**block.command, "cells": cells}, cell_ids=ids)


def with_reference(missing: list[Command], cells: list[Command]) -> list[Command]:
    """The missing cells, led by the block's ``sgd``, marked as a reference if it is not missing."""
    if not missing or any(cell["method"] == SGD.method for cell in missing):
        return missing
    sgd = next((cell for cell in cells if cell["method"] == SGD.method), None)
    return missing if sgd is None else [{**sgd, "reference": True}, *missing]
