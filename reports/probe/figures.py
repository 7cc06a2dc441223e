"""How much farther each arm gets than plain training, and what each learning rate comes to."""

import math
from collections.abc import Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from bench.storage.probe_records import ProbeRecord
from reports.probe.comparison import MINIMUM, Comparison, Place, place_of
from reports.probe.verdict import start_of
from reports.text import canvas
from reports.text.formatting import interval, number, tick_number

# The marks of arms stand side by side.
_APART = 1.07
# Ratios from 0 to this are in the picture: below 0 the loss has risen.
_MOST = 4.0
_FAR = 1e4


def probe_groups(found: Sequence[Comparison], records: Sequence[ProbeRecord]) -> list[canvas.Group]:
    """Two panels for each optimizer and start."""
    return [_group(place, found, records) for place in dict.fromkeys(c.place for c in found)]


def _group(
    place: Place, found: Sequence[Comparison], records: Sequence[ProbeRecord]
) -> canvas.Group:
    here = [record for record in records if record.sweep and place_of(record) == place]
    styles = canvas.styles([*dict.fromkeys(record.variant for record in here)])
    with canvas.look():
        drawings = [
            _ratios([each for each in found if each.place == place], styles),
            _sweeps(here, styles),
        ]
    heading = f"{place.optimizer} {start_of(place.epochs)}, {place.setting.heading}"
    return canvas.Group(heading, canvas.legend(styles), drawings)


def _ratios(found: Sequence[Comparison], styles: dict[str, canvas.Style]) -> canvas.Drawing:
    figure, axes = canvas.panel("steps", "decrease of the loss over that of plain training")
    variants = [*dict.fromkeys(each.variant for each in found)]
    words = []
    for number_of, variant in enumerate(variants):
        own = [c for c in found if c.variant == variant and math.isfinite(c.ratio.value)]
        shift = _APART ** (number_of - (len(variants) - 1) / 2)
        steps = [shift * each.horizon for each in own]
        ratios = [_near(each.ratio.value) for each in own]
        axes.plot(steps, ratios, **styles[variant].line(), gid="curve", label=variant)
        for at, each in zip(steps, own, strict=True):
            if math.isfinite(each.ratio.low) and math.isfinite(each.ratio.high):
                ends = [_near(each.ratio.low), _near(each.ratio.high)]
                axes.plot([at, at], ends, color=styles[variant].colour, lw=0.9)
        last = interval(*own[-1].ratio[:3]) if own else "not finite"
        words.append(f"{variant}: {last} after the last.")
    for level, dashes in ((1.0, (4, 2)), (MINIMUM, (1, 2))):
        axes.axhline(level, color=canvas.REFERENCE_GREY, lw=0.7, linestyle=(0, dashes))
    ends = [end for each in found for end in each.ratio[:3] if math.isfinite(end)]
    axes.set_ylim(0, min(max(1.1 * max(ends, default=1.0), 1.2), _MOST))
    _log_ticks(axes, sorted({each.horizon for each in found}))
    return canvas.finish(figure, " ".join(["Ratio of decreases against steps.", *words]))


def _sweeps(records: Sequence[ProbeRecord], styles: dict[str, canvas.Style]) -> canvas.Drawing:
    """Medians over the seeds, where the loss stayed finite in all of them."""
    figure, axes = canvas.panel("learning rate", f"loss after {records[0].horizons[-1]} steps")
    words, shown = [], [record.loss_start or 0.0 for record in records]
    for variant, style in styles.items():
        own = [record for record in records if record.variant == variant]
        line = []
        for at in range(min(len(record.sweep) for record in own)):
            trained, losses = own[0].sweep[at], [record.sweep[at].losses[-1] for record in own]
            finite = [loss for loss in losses if loss is not None]
            if len(finite) == len(own):
                line.append((trained.lr, median(finite)))
        rates, losses_at = [lr for lr, _ in line], [loss for _, loss in line]
        axes.plot(rates, losses_at, **style.line(), gid="curve", label=variant)
        lowest = min(line, key=lambda point: point[1], default=(math.nan, math.nan))
        shown += [lowest[1]] if line else []
        words.append(f"{variant}: lowest {number(lowest[1])} at {number(lowest[0])}.")
    _log_ticks(axes, [trained.lr for trained in records[0].sweep][::3])
    # What diverges leaves the picture.
    axes.set_ylim(min(0.0, *map(_near, shown)), max(1.1 * _near(max(shown)), 1e-3))
    return canvas.finish(figure, " ".join(["Loss against learning rate.", *words]))


def _near(value: float) -> float:
    """What is far outside a picture, where it can still be drawn."""
    return min(max(value, -_FAR), _FAR)


def _log_ticks(axes: Axes, values: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(values)))
    axes.xaxis.set_major_formatter(FixedFormatter([tick_number(each) for each in values]))
    axes.xaxis.set_minor_locator(NullLocator())
