"""Time of a call against ranks: strong scaling beside weak scaling, each with what is ideal."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from reports.ranks.tables import RanksRow
from reports.text import canvas
from reports.text.formatting import seconds, seconds_interval

_IDEAL = {"strong": "n samples in all", "weak": "n samples a rank"}


def group(heading: str, rows: Sequence[RanksRow]) -> canvas.Group:
    """A panel for each scaling of one setting."""
    shown = [row for row in rows if math.isfinite(row.call_s) and row.call_s > 0]
    names = dict.fromkeys(_name(row) for row in shown if row.ranks > 1)
    styles = canvas.styles([*names])
    scalings = [one for one in _IDEAL if any(row.scaling == one for row in shown)]
    with canvas.look():
        drawings = [
            _panel(one, [row for row in shown if row.scaling == one], styles) for one in scalings
        ]
    return canvas.Group(heading, canvas.legend(styles), drawings)


def _name(row: RanksRow) -> str:
    return f"{row.variant}, {row.way}"


def _panel(
    scaling: str, rows: Sequence[RanksRow], styles: dict[str, canvas.Style]
) -> canvas.Drawing:
    figure, axes = canvas.panel("ranks", f"a call, {scaling} scaling: {_IDEAL[scaling]}")
    alone = {row.variant: row for row in rows if row.ranks == 1}
    levels = sorted({row.ranks for row in rows})
    for row in alone.values():
        ideal = [row.call_s / (level if scaling == "strong" else 1) for level in levels]
        dashes = (0, (1, 2))
        axes.plot(levels, ideal, color=canvas.REFERENCE_GREY, lw=0.7, ls=dashes, gid="ideal")
    words, shown = [], []
    for name, style in styles.items():
        own = [row for row in rows if row.ranks > 1 and _name(row) == name]
        first = [alone[row.variant] for row in own[:1] if row.variant in alone]
        line = [*first, *own]
        times = [row.call_s for row in line]
        axes.plot([row.ranks for row in line], times, **style.line(), gid="curve", label=name)
        shown += [(name, row) for row in line]
        for row in line:
            if math.isfinite(row.call_s_low) and math.isfinite(row.call_s_high):
                ends = [row.call_s_low, row.call_s_high]
                axes.plot([row.ranks] * 2, ends, color=style.colour, lw=0.9, marker="")
        words += [f"{name}: {seconds(row.call_s)} on {row.ranks}." for row in line[-1:]]
    ends = [end for row in rows for end in (row.call_s_low, row.call_s, row.call_s_high)]
    ends += [row.call_s / max(levels) for row in alone.values() if scaling == "strong"]
    _ticks(axes, levels, [end for end in ends if math.isfinite(end)])
    spots = [
        canvas.spot(figure, axes, row.ranks, row.call_s, f"{name}: {_said(row)}")
        for name, row in shown
    ]
    return canvas.finish(figure, " ".join([f"Time of a call, {scaling} scaling.", *words]), spots)


def _said(row: RanksRow) -> str:
    ranks = "1 rank" if row.ranks == 1 else f"{row.ranks} ranks"
    return f"{ranks}, {seconds_interval(row.call_s, row.call_s_low, row.call_s_high)}"


def _ticks(axes: Axes, levels: Sequence[int], times: Sequence[float]) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(levels)))
    axes.xaxis.set_major_formatter(FixedFormatter([*map(str, levels)]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_yscale("log")
    canvas.log_ticks(axes, min(times) / 1.2, 1.2 * max(times), seconds=True)
