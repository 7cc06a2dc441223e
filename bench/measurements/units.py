"""Everything a run has to do: the units of all measurements that its journal lacks."""

from collections.abc import Sequence

from bench.measurements.measurement import measurements
from bench.plan.points import Plan
from bench.plan.shards import WHOLE, Shard
from bench.plan.units import Unit, missing_cells, missing_units
from bench.storage.records import Record

_PLACE = ("model", "dataset", "d", "n", "l")


def make_units(plan: Plan, records: Sequence[Record], part: Shard = WHOLE) -> list[Unit]:
    """Everything of a plan that the journal does not hold yet, in order: blocks first.

    The blocks of the plan are those of ``part`` already; of what is measured beside the clock
    every part takes its own share.
    """
    blocks, extra = _every_unit(plan)
    groups = _groups(extra)
    own = [unit for unit in extra if part.owns(groups[unit.group or unit.unit])]
    return lacking([*blocks, *own], records)


def units_of_parts(plan: Plan, count: int) -> list[list[Unit]]:
    """What ``make_units`` gives each of so many parts of a whole plan, without looking at records.

    All at once takes about as long as one of them.
    """
    blocks, extra = _every_unit(plan)
    groups = _groups(extra)
    parts: list[list[Unit]] = [[] for _ in range(count)]
    for place, block in enumerate(blocks):
        parts[place % count].append(block)
    for unit in extra:
        parts[groups[unit.group or unit.unit] % count].append(unit)
    return parts


def lacking(units: Sequence[Unit], records: Sequence[Record]) -> list[Unit]:
    """Those units, or of blocks those cells, that are not among the records; blocks first."""
    blocks = [unit for unit in units if unit.is_block]
    extra = [unit for unit in units if not unit.is_block]
    return [*missing_cells(blocks, records), *missing_units(extra, records)]


def _groups(units: Sequence[Unit]) -> dict[str, int]:
    """The groups that stay in one part of a sweep, and the place of each."""
    names = dict.fromkeys(unit.group or unit.unit for unit in units)
    return {name: place for place, name in enumerate(names)}


def _every_unit(plan: Plan) -> tuple[list[Unit], list[Unit]]:
    """The blocks, and what is measured beside the clock."""
    units = [unit for measurement in measurements() for unit in measurement.units(plan)]
    blocks = [unit for unit in units if unit.is_block]
    return blocks, _by_place([unit for unit in units if not unit.is_block])


def _by_place(units: list[Unit]) -> list[Unit]:
    """Those at one place one after another: a run that ends early has whole places."""
    found: dict[tuple[object, ...], list[Unit]] = {}
    for unit in units:
        point = unit.command.get("point", {})
        found.setdefault(tuple(point.get(name) for name in _PLACE), []).append(unit)
    return [unit for at_place in found.values() for unit in at_place]
