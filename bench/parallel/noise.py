"""A/A: SGD against itself on every device, before anything else is measured there.

A device is flagged where the two sides of itself differ, where its ratios scatter more than those
of the others, and where its steps take longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, expm1, log
from pathlib import Path
from statistics import median
from typing import Any

from bench.plan.points import Block, Cell, Point
from bench.plan.units import Unit, block_unit
from bench.runner.runner import Runner
from bench.spec.spec import Spec
from bench.spec.variants import SGD
from bench.storage.records import CellRecord, Record

MATTERS = 0.05  # ratios nearer to 1 than this are no reason for a flag
NOISIER = 2.0  # so many times the scatter of the others is
SURE = 0.01  # the chance of a false alarm of each kind in a run
_SECONDS = 2.0
_MOST = 25  # rounds
_NEVER = 1e-9  # as many as there is time for
_SIDES = ("aa-1", "aa-2")


@dataclass(frozen=True)
class Noise:
    """What A/A found on a device."""

    logs: tuple[float, ...]  # of the ratio of both sides, round by round
    seconds: tuple[float, ...]  # of an SGD step
    failure: str = ""  # why there are none

    @property
    def centred(self) -> list[float]:
        """The logs less their median."""
        middle = median(self.logs)
        return [each - middle for each in self.logs]

    @property
    def scatter(self) -> float:
        """1.4826 times the median absolute deviation of the logs."""
        return 1.4826 * median(map(abs, self.centred))

    def facts(self, flags: Sequence[str]) -> dict[str, Any]:
        """What a session says of the device."""
        found: dict[str, Any] = {"flags": list(flags)}
        if self.failure:
            return found | {"aa_failed": self.failure}
        ratio = exp(median(self.logs))
        found |= {"aa_rounds": len(self.logs), "aa_ratio": ratio, "aa_scatter": self.scatter}
        return found | {"sgd_s": median(self.seconds)}


class _Memory:
    """Keeps nothing on the disk."""

    path = Path()

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, *records: Record) -> None:
        self.records += records


def measure(spec: Spec, runner: Runner) -> Noise:
    """Time SGD against itself at the base point."""
    kept = _Memory()
    runner.carry_out(_unit(spec), kept)
    sides = {record.cell_id: record for record in kept.records if isinstance(record, CellRecord)}
    failed = [side for side in sides.values() if side.status != "ok" or not side.steps_done]
    if failed:
        return Noise((), (), failed[0].reason)
    one, other = (_by_round(sides[name]) for name in _SIDES)
    both = sorted(one.keys() & other.keys())
    logs = tuple(log(one[r] / other[r]) for r in both)
    return Noise(logs, tuple(one[r] for r in both))


def flags(noises: Sequence[Noise]) -> list[list[str]]:
    """What is to be said of each device's times, device by device."""
    known = [noise for noise in noises if not noise.failure]
    found: list[list[str]] = []
    for noise in noises:
        own: list[str] = []
        if not noise.failure:
            others = [other for other in known if other is not noise]
            own += _unequal(noise, len(known))
            own += [*_noisier(noise, others), *_slower(noise, others)] if others else []
        found.append(own)
    return found


def _unequal(noise: Noise, count: int) -> list[str]:
    """Its two sides differ, by the signed ranks of their ratios."""
    shift = expm1(median(noise.logs))
    if abs(shift) < MATTERS:
        return []
    from scipy.stats import wilcoxon  # a second, and most devices need none

    if wilcoxon(noise.logs).pvalue > SURE / count:
        return []
    return [f"device: SGD against itself differs by {shift:+.0%}"]


def _noisier(noise: Noise, others: Sequence[Noise]) -> list[str]:
    """Its ratios scatter more than those of the others, by a rank test of scale."""
    quiet = median(other.scatter for other in others)
    if noise.scatter < max(NOISIER * quiet, MATTERS / NOISIER):
        return []
    from scipy.stats import fligner

    rest = [log_ratio for other in others for log_ratio in other.centred]
    if fligner(noise.centred, rest).pvalue > SURE / (len(others) + 1):
        return []
    return [f"device: noise of {noise.scatter:.1%} against {quiet:.1%} on the others"]


def _slower(noise: Noise, others: Sequence[Noise]) -> list[str]:
    """Its steps take longer than those of the others, by the ranks of both."""
    theirs = [seconds for other in others for seconds in other.seconds]
    more = median(noise.seconds) / median(theirs) - 1
    if more < MATTERS:
        return []
    from scipy.stats import mannwhitneyu

    found = mannwhitneyu(noise.seconds, theirs, alternative="greater")
    if found.pvalue > SURE / (len(others) + 1):
        return []
    return [f"device: an SGD step takes {more:+.0%} against the others"]


def _by_round(cell: CellRecord) -> dict[int, float]:
    """Round -> seconds of an SGD step."""
    return {
        sample.round: sample.seconds / cell.steps_done
        for sample in cell.samples
        if sample.round is not None and sample.seconds and sample.clock == "wall"
    }


def _unit(spec: Spec) -> Unit:
    point = Point(
        **spec.base, model=spec.model, dataset=spec.data, device=spec.device, dtype=spec.dtype
    )
    sampling = replace(
        spec.sampling,
        max_samples=max(_MOST, spec.sampling.min_samples),
        target=_NEVER,
        block_seconds=min(_SECONDS, spec.sampling.block_seconds),
    )
    cells = tuple(Cell(name, SGD) for name in _SIDES)
    return block_unit(replace(spec, sampling=sampling), Block("aa", point, cells))
