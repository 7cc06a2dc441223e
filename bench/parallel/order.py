"""Longest first: two workers then end at about the same time.

Blocks that take as long as each other keep the random order of their plan, which keeps a machine
that becomes slower from looking like a law.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import cycle
from statistics import median

from bench.parallel.lane import Lane, Lanes
from bench.parallel.noise import Noise
from bench.plan.describe import PER_BLOCK_SECONDS
from bench.plan.units import Unit
from bench.spec.spec import Spec

# SGD steps that a step of a method is counted as; of the methods there are some take more.
_A_STEP = 10.0


def longest_first(units: Sequence[Unit], seconds: Mapping[str, float]) -> list[Unit]:
    """Blocks first, then what is measured beside the clock; each by what depends on it, too.

    Args:
        units: what is to be done.
        seconds: of each, by its id.
    """
    following: dict[str, float] = {}
    for unit in reversed(units):  # what a unit needs comes before it
        whole = seconds[unit.unit] + following.get(unit.unit, 0.0)
        for need in unit.needs:
            following[need] = max(following.get(need, 0.0), whole)
    whole_of = {unit.unit: seconds[unit.unit] + following.get(unit.unit, 0.0) for unit in units}
    return sorted(units, key=lambda unit: (not unit.is_block, -whole_of[unit.unit]))


def block_seconds(unit: Unit, base: Mapping[str, int], sgd_s: float) -> float:
    """About how long a block takes: the time it is given, longer where its least samples are.

    Args:
        unit: the block.
        base: letter -> value where an SGD step took ``sgd_s``; larger by as many products are its
            steps elsewhere, those of a network whose layers are d by d.
        sgd_s: seconds; 0 where nobody knows.
    """
    point, sampling = unit.command["point"], unit.command["sampling"]
    larger = (point["n"] * point["l"] * point["d"] ** 2) / (base["n"] * base["l"] * base["d"] ** 2)
    steps = point["t"] * point["b"] * (1 + _A_STEP * (len(unit.cell_ids) - 1))
    least = sampling["min_samples"] * steps * sgd_s * larger
    return PER_BLOCK_SECONDS + float(max(sampling["block_seconds"], least))


def expected_seconds(
    spec: Spec, units: Sequence[Unit], lanes: Lanes, noises: Sequence[Noise]
) -> dict[str, float]:
    """About how long each unit takes: a block by A/A, the others by trying each kind of them."""
    known = [median(noise.seconds) for noise in noises if not noise.failure]
    sgd = min(known, default=0.0)
    kinds: dict[str, list[Unit]] = {}
    for unit in units:
        if unit.kind:
            kinds.setdefault(unit.kind, []).append(unit)
    found: dict[str, float | None] = {}
    if len(kinds) > 1:  # of one kind all take as long
        asked = {
            kind: lane.ask(partial(_estimate, own))
            for (kind, own), lane in zip(kinds.items(), cycle(lanes.every), strict=False)
        }
        found = {kind: future.result() for kind, future in asked.items()}
    return {
        unit.unit: block_seconds(unit, spec.base, sgd)
        if unit.is_block
        else (found.get(unit.kind) or 1.0)
        for unit in units
    }


def _estimate(units: list[Unit], lane: Lane) -> float | None:
    """Seconds for one of several units of a kind."""
    return lane.runner.estimate(units[:1])
