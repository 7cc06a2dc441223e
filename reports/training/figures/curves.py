"""Loss against epochs, seconds and gradient-equivalents: seeds thin, their median thick."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.storage.records import TrainingRecord
from reports.text.canvas import Drawing, Style, finish, log_ticks, look, panel
from reports.text.formatting import number
from reports.training.experiment import RULE_WORDS, Course, Experiment

# Field of an evaluation -> what the axis is called, and the switch.
X_AXES = {
    "epoch": ("epoch", "Epochs"),
    "train_seconds": ("seconds of training, teleports included", "Seconds"),
    "gradient_equivalents": ("gradient-equivalents", "Gradients"),
}
LOSSES = {"train_loss": "training loss", "test_loss": "test loss"}

_MOST_POINTS = 1500  # of all thin lines of a panel
_FEWEST_POINTS = 8  # of one of them
_MOST_IN_A_MEDIAN = 120
_ROOM = 1.15
_ABOVE_START = 3.0  # losses beyond that many times the first are cut off

Line = list[tuple[float, float]]
Curves = dict[str, list[Course]]
"""Arm -> its trials that have ended, one a seed."""


class CurvePanel(NamedTuple):
    """One panel, and what stands under it."""

    drawing: Drawing
    caption: str


class View(NamedTuple):
    """All panels against one axis."""

    key: str
    name: str
    panels: list[CurvePanel]
    left_out: int


def views(experiment: Experiment, rule: str, styles: Mapping[str, Style]) -> list[View]:
    """A view for each axis, in it a panel for each optimizer and loss that is known."""
    with look():
        return [_view(experiment, rule, axis, styles) for axis in X_AXES]


def _view(experiment: Experiment, rule: str, axis: str, styles: Mapping[str, Style]) -> View:
    panels, left_out = [], 0
    for optimizer in experiment.optimizers:
        every = {a: [*experiment.judged(optimizer, a, rule).values()] for a in experiment.arms}
        kept = {arm: [c for c in own if c.counts(axis)] for arm, own in every.items()}
        left_out += sum(len(every[arm]) - len(kept[arm]) for arm in every)
        for loss, name in LOSSES.items():
            if any(line(course, axis, loss) for own in kept.values() for course in own):
                drawing = _draw(kept, axis, loss, styles, f"{optimizer}, {RULE_WORDS[rule]}")
                panels.append(CurvePanel(drawing, f"{optimizer}, {name}"))
    return View(axis, X_AXES[axis][1], panels, left_out)


def line(course: Course, axis: str, loss: str) -> Line:
    """The points of one trial where its loss is positive and finite."""
    points = [(getattr(each, axis), getattr(each, loss)) for each in course.evaluations]
    return [(x, y) for x, y in points if y is not None and y > 0]


def median_line(courses: Sequence[Course], axis: str, loss: str) -> Line:
    """The median over all trials at each evaluation; one that was lost before counts as infinite.

    A median over those alone that came so far would hide that others did not.
    """
    at: dict[tuple[float, int], list[TrainingRecord]] = {}
    for each in (evaluation for course in courses for evaluation in course.evaluations):
        at.setdefault((each.epoch, each.step), []).append(each)
    found = []
    for place in sorted(at):
        known = [getattr(each, loss) for each in at[place]]
        values = [math.inf if value is None else value for value in known]
        middle = median([*values, *[math.inf] * (len(courses) - len(values))])
        if math.isfinite(middle) and middle > 0:
            found.append((median(getattr(each, axis) for each in at[place]), middle))
    return found


def draw_lines(
    axes: Axes,
    thin: Sequence[Line],
    thick: Line,
    style: Style,
    name: str,
    allowed: int = _MOST_POINTS,
) -> None:
    """Seeds thin, the median thick with some marks; all seeds are one path with gaps in it."""
    gap = (math.nan, math.nan)
    few = [thinned(points, max(_FEWEST_POINTS, allowed)) for points in thin if points]
    path = [point for points in few for point in (*points, gap)]
    if path:
        axes.plot(*zip(*path, strict=True), color=style.colour, lw=0.5, alpha=0.45, gid="seeds")
    if thick:
        shown = thinned(thick, _MOST_IN_A_MEDIAN)
        shape: dict[str, Any] = {**style.line(), "markevery": max(1, len(shown) // 6)}
        axes.plot(*zip(*shown, strict=True), **shape, markersize=4, gid="median", label=name)


def thinned(points: Line, most: int) -> Line:
    """At most ``most`` points, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def _draw(curves: Curves, axis: str, loss: str, styles: Mapping[str, Style], where: str) -> Drawing:
    figure, axes = panel(X_AXES[axis][0], LOSSES[loss])
    axes.set_yscale("log")
    thin = {arm: [line(c, axis, loss) for c in own] for arm, own in curves.items()}
    thick = {arm: median_line(own, axis, loss) for arm, own in curves.items()}
    allowed = _MOST_POINTS // max(1, sum(map(len, thin.values())))
    for arm in reversed(curves):  # plain, the first, on top
        draw_lines(axes, thin[arm], thick[arm], styles[arm], arm, allowed)
    log_ticks(axes, *limits([points for own in thin.values() for points in own]))
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=axis == "epoch"))
    return finish(figure, _words(thick, axis, loss, where))


def limits(lines: Sequence[Line]) -> tuple[float, float]:
    """Room for every loss but those far above where they began."""
    values = [y for points in lines for _, y in points]
    if not values:
        return 0.1, 10.0
    ceiling = _ABOVE_START * max(points[0][1] for points in lines if points)
    return min(values) / _ROOM, min(max(values), ceiling) * _ROOM


def _words(thick: Mapping[str, Line], axis: str, loss: str, where: str) -> str:
    """The panel for those who do not see it."""
    ends = [
        f"{arm}: {number(points[-1][1])} at {number(points[-1][0])}."
        if points
        else f"{arm}: no median."
        for arm, points in thick.items()
    ]
    what = LOSSES[loss].capitalize()
    return f"{what} against {X_AXES[axis][0]}, {where}; medians at the end: {' '.join(ends)}"
