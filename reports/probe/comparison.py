"""Each arm of a probe against plain training, seed by seed, each at its own best learning rate.

Every seed has a sweep for each arm, over the same learning rates, and at a horizon that of the
largest decrease counts: both sides of a ratio are tuned alike. The decrease is from the common
start, so that what the move itself does to the loss counts. Medians and their intervals are order
statistics: a run that diverged is the lowest, whatever its loss.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import numpy as np

from bench.statistics.medians import Estimate, median_ranks
from bench.statistics.rank_tests import holm
from bench.storage.probe_records import PLAIN, ProbeRecord
from reports.run.setting import Setting, setting_of

MINIMUM = 1.05
"""A gain below this is none: the declared minimum effect."""

BySeed = Mapping[int, ProbeRecord]


class Place(NamedTuple):
    """Where arms are compared."""

    setting: Setting
    optimizer: str
    epochs: int
    horizons: tuple[int, ...]


def place_of(record: ProbeRecord) -> Place:
    """The place of a record; those with other horizons have no part in it."""
    return Place(setting_of(record), record.optimizer, record.epochs, tuple(record.horizons))


class Comparison(NamedTuple):
    """One arm against plain training after the steps of one horizon.

    Attributes:
        lr: of the arm, median over the seeds; ``lr_plain`` of plain training.
        at_edge: seeds in which either is the first or the last of the sweep.
        loss_start: median over the seeds, as the decreases.
        ratio: of the decreases.
        gain: ratio of the first-order gains, at a learning rate of 1, the same at every horizon;
            NaN where plain training gains nothing in some seed, as momentum may have it.
        move_change: what the move itself added to the loss, median.
        cost_steps: steps that take as long as the moves, median.
        p_above: of a sign test that the ratio is not above ``MINIMUM``; at the last horizon
            adjusted for the arms of all starts of the optimizer, NaN at others.
        p_below: that it is not below.
    """

    place: Place
    variant: str
    horizon: int
    seeds: int
    lr: float
    lr_plain: float
    at_edge: int
    loss_start: float
    decrease: float
    decrease_plain: float
    ratio: Estimate
    gain: Estimate
    move_change: float
    cost_steps: float
    p_above: float
    p_below: float
    last: bool


def comparisons(records: Iterable[ProbeRecord]) -> list[Comparison]:
    """Every arm at every horizon, in the order of the records."""
    arms: dict[Place, dict[str, dict[int, ProbeRecord]]] = {}
    for record in records:
        if record.status == "ok" and record.sweep:
            arms.setdefault(place_of(record), {}).setdefault(record.variant, {})[record.seed] = (
                record
            )
    found = [
        compared(place, variant, own, by_variant[PLAIN], index)
        for place, by_variant in arms.items()
        for variant, own in by_variant.items()
        if variant != PLAIN and PLAIN in by_variant and own.keys() & by_variant[PLAIN].keys()
        for index in range(len(place.horizons))
    ]
    return _adjusted(found)


def compared(place: Place, variant: str, own: BySeed, plain: BySeed, index: int) -> Comparison:
    """One arm at the horizon of a number, over the seeds that both have."""
    seeds = sorted(own.keys() & plain.keys())
    ours, theirs = [own[s] for s in seeds], [plain[s] for s in seeds]
    at, at_plain = ([best(r, index) for r in side] for side in (ours, theirs))
    decreases, before = ([decrease(r, best(r, index), index) for r in x] for x in (ours, theirs))
    ratios = [_ratio(a, b) for a, b in zip(decreases, before, strict=True)]
    gains = [_over(_known(a.gain), _known(b.gain)) for a, b in zip(ours, theirs, strict=True)]
    last = len(ours[0].sweep) - 1
    return Comparison(
        place, variant, place.horizons[index], len(seeds),
        lr=median(r.sweep[place].lr for r, place in zip(ours, at, strict=True)),
        lr_plain=median(r.sweep[place].lr for r, place in zip(theirs, at_plain, strict=True)),
        at_edge=sum(bool({*pair} & {0, last}) for pair in zip(at, at_plain, strict=True)),
        loss_start=median(_known(r.loss_start) for r in theirs),
        decrease=median(decreases),
        decrease_plain=median(before),
        ratio=ranked(ratios),
        gain=ranked(gains),
        move_change=ranked([_known(r.loss_moved) - _known(r.loss_start) for r in ours]).value,
        cost_steps=ranked([_known(r.move_s) / _known(r.step_s) for r in ours]).value,
        p_above=sign_test(sum(ratio > MINIMUM for ratio in ratios), len(seeds)),
        p_below=sign_test(sum(ratio < MINIMUM for ratio in ratios), len(seeds)),
        last=index == len(place.horizons) - 1,
    )  # fmt: skip


def best(record: ProbeRecord, index: int) -> int:
    """The place in the sweep with the largest decrease at the horizon of a number."""
    return max(range(len(record.sweep)), key=lambda at: decrease(record, at, index))


def decrease(record: ProbeRecord, at: int, index: int) -> float:
    """How far the loss has fallen since the start; minus infinity where it diverged."""
    loss = record.sweep[at].losses[index]
    return -math.inf if loss is None else _known(record.loss_start) - loss


def ranked(values: Sequence[float]) -> Estimate:
    """The median with its interval at 95 %, none below 6 values; of a NaN all is NaN."""
    if any(map(math.isnan, values)):
        return Estimate(math.nan, math.nan, math.nan, len(values))
    ordered = sorted(values)
    ranks = median_ranks(len(ordered))
    low, high = (math.nan,) * 2 if ranks is None else (ordered[r - 1] for r in ranks[:2])
    return Estimate(median(ordered), low, high, len(ordered))


def sign_test(hits: int, count: int) -> float:
    """The chance of as many hits of ``count``, or more, if hit and miss were equally likely.

    Source: W. J. Conover, Practical Nonparametric Statistics, 3rd ed., section 3.4.
    """
    ways = sum(math.comb(count, k) for k in range(hits, count + 1))
    return float(ways / 2**count)


def _adjusted(found: Sequence[Comparison]) -> list[Comparison]:
    """p-values of the last horizons, by Holm over all that could make a verdict of an optimizer."""
    families: dict[tuple[Setting, str], list[int]] = {}
    for number, each in enumerate(found):
        if each.last:
            families.setdefault((each.place.setting, each.place.optimizer), []).append(number)
    p_values = [math.nan] * len(found)
    for family in families.values():
        adjusted = holm(np.array([found[number].p_above for number in family]))
        for number, p_value in zip(family, adjusted, strict=True):
            p_values[number] = float(p_value)
    return [each._replace(p_above=p) for each, p in zip(found, p_values, strict=True)]


def _ratio(ours: float, plain: float) -> float:
    """Of decreases; where plain training does not get lower only the sign of the difference."""
    if plain > 0:
        return ours / plain
    return 1.0 if ours == plain else math.copysign(math.inf, ours - plain)


def _over(ours: float, plain: float) -> float:
    return ours / plain if plain > 0 else math.nan


def _known(value: float | None) -> float:
    return math.nan if value is None else value
