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
    units = [unit for measurement in measurements() for unit in measurement.units(plan)]
    blocks = [unit for unit in units if unit.is_block]
    extra = _by_place([unit for unit in units if not unit.is_block])
    groups = list(dict.fromkeys(unit.group or unit.unit for unit in extra))
    own = [unit for unit in extra if part.owns(groups.index(unit.group or unit.unit))]
    return [*missing_cells(blocks, records), *missing_units(own, records)]


def _by_place(units: list[Unit]) -> list[Unit]:
    """Those at one place one after another: a run that ends early has whole places."""
    found: dict[tuple[object, ...], list[Unit]] = {}
    for unit in units:
        point = unit.command.get("point", {})
        found.setdefault(tuple(point.get(name) for name in _PLACE), []).append(unit)
    return [unit for at_place in found.values() for unit in at_place]
