"""How much the learning rate matters: final training loss against it, a curve per arm."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from reports.text.canvas import Drawing, Style, finish, log_ticks, look, panel
from reports.text.formatting import number
from reports.training.targets import TuningRow

_ROOM = 1.25
_CROSS: dict[str, Any] = {"marker": "x", "markeredgewidth": 1.6, "markersize": 5.5}
_ROW_HEIGHT = 0.07  # of the panel, for the crosses


class RatePanel(NamedTuple):
    """One optimizer."""

    drawing: Drawing
    caption: str


def rate_panels(rows: Sequence[TuningRow], styles: Mapping[str, Style]) -> list[RatePanel]:
    """A panel per optimizer; of rates that were tuned."""
    found: dict[str, dict[str, list[TuningRow]]] = {}
    for row in rows:
        if row.lr_rule == "tuned" and row.lr > 0:
            found.setdefault(row.optimizer, {}).setdefault(row.arm, []).append(row)
    with look():
        return [RatePanel(_draw(arms, styles, name), name) for name, arms in found.items()]


def _draw(
    arms: Mapping[str, list[TuningRow]], styles: Mapping[str, Style], optimizer: str
) -> Drawing:
    figure, axes = panel("learning rate", "final training loss, median of the tuning seeds")
    axes.set_xscale("log")
    axes.set_yscale("log")
    values = [row.median_loss for own in arms.values() for row in own if _drawn(row)]
    log_ticks(axes, *(_around(values) if values else (0.1, 10.0)))
    for place, (arm, rows) in enumerate(arms.items()):
        _draw_arm(axes, rows, styles[arm], place, arm)
    _rate_ticks(axes, sorted({row.lr for own in arms.values() for row in own}))
    return finish(figure, _words(arms, optimizer))


def _drawn(row: TuningRow) -> bool:
    return math.isfinite(row.median_loss) and row.median_loss > 0


def _around(values: Sequence[float]) -> tuple[float, float]:
    """With room below for the crosses."""
    low, high = min(values), max(values)
    return low / _ROOM / (high / low * _ROOM) ** 0.15, high * _ROOM


def _draw_arm(axes: Axes, rows: Sequence[TuningRow], style: Style, place: int, name: str) -> None:
    known = [(row.lr, row.median_loss) for row in rows if _drawn(row)]
    if known:
        axes.plot(*zip(*known, strict=True), **style.line(), gid="points", label=name)
    ring: dict[str, Any] = {"markeredgewidth": 1.4, "markersize": 10, "markerfacecolor": "none"}
    for row in rows:
        if row.chosen and _drawn(row):
            axes.plot([row.lr], [row.median_loss], "o", markeredgecolor=style.colour, **ring)
        if not _drawn(row):
            where: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
            height = 0.04 + _ROW_HEIGHT * place
            axes.plot([row.lr], [height], color=style.colour, **where, **_CROSS, gid="lost")


def _rate_ticks(axes: Axes, rates: Sequence[float]) -> None:
    axes.set_xlim(rates[0] / 1.6, rates[-1] * 1.6)
    axes.xaxis.set_major_locator(FixedLocator(rates))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{rate:.3g}" for rate in rates]))
    axes.xaxis.set_minor_locator(NullLocator())


def _words(arms: Mapping[str, list[TuningRow]], optimizer: str) -> str:
    sentences = [f"Final training loss against the learning rate, {optimizer}."]
    for arm, rows in arms.items():
        best = next((row for row in rows if row.chosen), None)
        chosen = f"{number(best.median_loss)} at {best.lr:g}, its best" if best else "none chosen"
        lost = [f"{row.lr:g}" for row in rows if not _drawn(row)]
        failed = f"; diverged or failed at {', '.join(lost)}" if lost else ""
        sentences.append(f"{arm}: {chosen}{failed}.")
    return " ".join(sentences)
