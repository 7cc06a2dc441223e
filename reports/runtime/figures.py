"""Figure 3: time of prepare and steps against t, d, n, l and b, in seconds or in SGD steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from bench.spec.axes import AXES, MEANINGS
from reports.run.run import SGD
from reports.run.setting import Setting
from reports.tables.growth import Grown, sweep
from reports.tables.runtime import CellRow
from reports.text.canvas import (
    REFERENCE_GREY,
    Drawing,
    Spot,
    Style,
    finish,
    log_ticks,
    look,
    panel,
    spot,
)
from reports.text.formatting import interval, listed, number, seconds, seconds_interval

VIEWS = {
    "seconds": ("median_s", "ci_low_s", "ci_high_s"),
    "sgd_steps": ("phases_sgd_steps", "phases_sgd_steps_low", "phases_sgd_steps_high"),
}
_Y_LABELS = {"seconds": "prepare and steps", "sgd_steps": "prepare and steps, in SGD steps"}
_MOST_TICKS = 8
_CROSS: dict[str, Any] = {"marker": "x", "markeredgewidth": 1.6, "markersize": 5.5}
_SGD_LINE: dict[str, Any] = {
    "color": REFERENCE_GREY,
    "lw": 1.6,
    "linestyle": (0, (6, 2)),
    "gid": "reference",
    "label": "as many SGD steps",
}
_FAIL_ROW_HEIGHT = 0.075  # of the panel


class Point(NamedTuple):
    """A measured cell: level of the swept axis, median, 95 % interval (NaN if unknown)."""

    level: int
    value: float
    low: float
    high: float


class Failure(NamedTuple):
    """A cell without a time: what became of it and why."""

    variant: str
    axis: str
    level: int
    status: str
    reason: str


@dataclass(frozen=True)
class Panel:
    """The data of one panel, before any drawing; ``unpaired`` counts ok cells without a ratio.

    ``reference`` is what as many SGD steps as teleport steps, t x b, take at each level.
    """

    axis: str
    view: str
    points: dict[str, list[Point]]
    fits: dict[str, Grown]
    failures: list[Failure]
    reference: list[tuple[int, float]]
    unpaired: int

    @property
    def levels(self) -> list[int]:
        """Every level that has a point or a failed cell, ascending."""
        measured = {point.level for points in self.points.values() for point in points}
        return sorted(measured | {failure.level for failure in self.failures})

    @property
    def extent(self) -> list[float]:
        """Every number that has to be inside the y limits."""
        points = [point for points in self.points.values() for point in points]
        known = [n for p in points for n in (p.value, p.low, p.high) if n > 0]
        return known + [height for _, height in self.reference]


def panels(
    runtime: Sequence[CellRow],
    growth: Sequence[Grown],
    setting: Setting,
    base: dict[str, int],
    view: str,
) -> list[Panel]:
    """The panels of one view, in the paper's order; SGD itself is the unit, not a curve.

    Axes that were held at one level have none, unless no axis was swept.
    """
    rows = [row for row in runtime if row.method != SGD]
    totals = [g for g in growth if (g.phase, g.setting) == ("total", setting)]
    fits = {(g.variant, g.axis): g for g in totals if math.isfinite(g.growth.exponent)}
    cells = {axis: sweep(rows, setting, axis, base) for axis in AXES}
    swept = [axis for axis in AXES if len({getattr(cell, axis) for cell in cells[axis]}) > 1]
    shown = fits if view == "seconds" else {}
    taken = [axis for axis in AXES if cells[axis]]
    return [_panel(cells[axis], shown, axis, view, base) for axis in swept or taken or AXES]


def _panel(
    rows: list[CellRow],
    fits: dict[tuple[str, str], Grown],
    axis: str,
    view: str,
    base: dict[str, int],
) -> Panel:
    columns = VIEWS[view]
    points: dict[str, list[Point]] = {}
    failures: list[Failure] = []
    unpaired = 0
    for row in rows:
        value, low, high = (getattr(row, column) for column in columns)
        level = getattr(row, axis)
        if row.status != "ok":
            failures.append(Failure(row.variant, axis, level, row.status, row.reason))
        elif value > 0:
            points.setdefault(row.variant, []).append(Point(level, value, low, high))
        else:
            unpaired += 1
    own = {variant: fits[variant, axis] for variant in points if (variant, axis) in fits}
    levels = sorted({point.level for curve in points.values() for point in curve})
    reference = _reference(rows, axis, levels, base, in_steps=view == "sgd_steps")
    return Panel(axis, view, points, own, failures, reference, unpaired)


def _reference(
    rows: list[CellRow], axis: str, levels: list[int], base: dict[str, int], *, in_steps: bool
) -> list[tuple[int, float]]:
    """As many SGD steps as teleport steps: their number, or the time that they take."""
    found = []
    for level in levels:
        at = {**base, axis: level}
        steps = at["t"] * at["b"]
        here = [row.sgd_s for row in rows if getattr(row, axis) == level and row.sgd_s > 0]
        if in_steps:
            found.append((level, float(steps)))
        elif here:  # all variants of a point were sampled beside the same SGD steps
            found.append((level, steps * here[0]))
    return found


def draw(chosen: Sequence[Panel], styles: dict[str, Style]) -> list[Drawing]:
    """One drawing per panel; all share their y limits, so that heights can be compared."""
    limits = _limits(chosen)
    with look():
        return [_draw(panel, styles, limits) for panel in chosen]


def _limits(chosen: Sequence[Panel]) -> tuple[float, float]:
    """Room for every point and bar, and below them a row for each failure at the same level."""
    extent = [number for panel in chosen for number in panel.extent]
    low, high = (min(extent), max(extent)) if extent else (0.1, 10.0)
    margin = (high / low) ** 0.07 * 1.25
    rows = [_fail_row(panel.failures, i) for panel in chosen for i in range(len(panel.failures))]
    room = (high / low * margin**2) ** (_FAIL_ROW_HEIGHT * (max(rows, default=-1) + 1))
    return low / margin / room, high * margin


def _draw(data: Panel, styles: dict[str, Style], limits: tuple[float, float]) -> Drawing:
    figure, axes = panel(f"{data.axis}, {MEANINGS[data.axis]}", _Y_LABELS[data.view])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    log_ticks(axes, *limits, seconds=data.view == "seconds")
    if data.reference:
        axes.plot(*zip(*data.reference, strict=True), **_SGD_LINE)
    for variant, points in data.points.items():
        _draw_curve(axes, points, data.fits.get(variant), styles[variant], variant)
    _draw_failures(axes, data.failures, styles)
    _x_ticks(axes, data.levels)
    spots = [
        spot(figure, axes, point.level, point.value, _point_words(data, variant, point))
        for variant, points in data.points.items()
        for point in points
    ]
    return finish(figure, describe(data), [*spots, *_reference_spots(figure, axes, data)])


def _reference_spots(figure: Figure, axes: Axes, data: Panel) -> list[Spot]:
    write = seconds if data.view == "seconds" else number
    return [
        spot(
            figure,
            axes,
            x,
            y,
            f"as many SGD steps as teleport steps, {data.axis} = {x}: {write(y)}",
        )
        for x, y in data.reference
    ]


def _point_words(data: Panel, variant: str, point: Point) -> str:
    write = seconds_interval if data.view == "seconds" else interval
    unit = "" if data.view == "seconds" else " SGD steps"
    height = write(point.value, point.low, point.high)
    return f"{variant}, {MEANINGS[data.axis]} {data.axis} = {point.level}: {height}{unit}"


def _draw_curve(
    axes: Axes, points: list[Point], fit: Grown | None, style: Style, name: str
) -> None:
    if fit and fit.lowest and fit.highest:  # the levels that it was fitted to
        x = np.geomspace(fit.lowest, fit.highest, 16)
        y = fit.growth.floor_s + fit.growth.scale * x**fit.growth.exponent
        axes.plot(x, y, color=style.colour, lw=0.7, linestyle=(0, (2, 2)), gid="fit")
    x, values, lows, highs = np.array(points, dtype=float).T
    bars = np.nan_to_num([values - lows, highs - values])
    line: dict[str, Any] = {**style.line(), "ecolor": style.colour, "elinewidth": 1, "capsize": 2}
    container = axes.errorbar(x, values, yerr=bars, **line, label=name)
    container.lines[0].set_gid("points")


def _draw_failures(axes: Axes, failures: list[Failure], styles: dict[str, Style]) -> None:
    """A cross per failed cell at its level, on the bottom, one row above the other."""
    for index, failure in enumerate(failures):
        height = 0.045 + _FAIL_ROW_HEIGHT * _fail_row(failures, index)
        where: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
        cross = {"color": styles[failure.variant].colour, **_CROSS}
        axes.plot([failure.level], [height], **where, **cross, gid="failed")


def _fail_row(failures: list[Failure], index: int) -> int:
    """How many earlier failures stand at the same level."""
    return sum(1 for other in failures[:index] if other.level == failures[index].level)


def _x_ticks(axes: Axes, levels: list[int]) -> None:
    """A tick at each level, or at every second, third ... one where they would touch."""
    if not levels:
        axes.xaxis.set_major_locator(NullLocator())
        return
    shown = levels[:: math.ceil(len(levels) / _MOST_TICKS)]
    axes.set_xlim(levels[0] / 1.25, levels[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_major_formatter(FixedFormatter([str(level) for level in shown]))
    axes.xaxis.set_minor_locator(NullLocator())


def describe(data: Panel) -> str:
    """The panel in words and numbers, for those who do not see it."""
    unit = "Seconds of prepare and steps"
    if data.view != "seconds":
        unit = "Prepare and steps in SGD steps"
    curves = [_describe_curve(name, points, data.view) for name, points in data.points.items()]
    failed = [f"{f.variant} at {f.axis} = {f.level} ({f.status})" for f in data.failures]
    sentences = [f"{unit} against {data.axis}, {MEANINGS[data.axis]}.", *curves]
    if failed:
        sentences.append(f"Failed: {listed(failed)}.")
    return " ".join(sentences if curves or failed else [*sentences, "Nothing was measured."])


def _describe_curve(name: str, points: list[Point], view: str) -> str:
    write = seconds if view == "seconds" else number
    first, last = points[0], points[-1]
    if len(points) == 1:
        return f"{name}: {write(first.value)} at {first.level}, the only level."
    return (
        f"{name}: {write(first.value)} at {first.level} to {write(last.value)} at {last.level}, "
        f"{len(points)} levels."
    )
