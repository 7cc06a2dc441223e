"""Level sets with the path of each descent, then loss and gradient of all of them.

Figures 2 and 3 of Zhao et al. (2022), arXiv 2205.10637, and figure 1 of Mishkin et al. (2024),
arXiv 2403.03362, have these panels.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes

from bench.storage.kinds.descent_records import DescentRecord, LandscapeRecord, Visit
from reports.run.run import as_float
from reports.run.setting import Setting
from reports.text import canvas
from reports.text.formatting import number

_LEVELS = 14
_LOWEST = 1e-5  # of the range of values, the innermost level set
_JUMP = "#d55e00"
_FAR = 1e100  # what is farther is drawn there
_FEW = 30  # points up to which each has a mark


def group(
    setting: Setting, descents: Sequence[DescentRecord], around: LandscapeRecord | None
) -> canvas.Group:
    """The panels of one function."""
    styles = canvas.styles([descent.variant for descent in descents])
    with canvas.look():
        drawings = []
        if around is not None:
            drawings = [_path(descent, around, styles[descent.variant]) for descent in descents]
        drawings += [
            _curves(descents, styles, "loss"),
            _curves(descents, styles, "||g||²"),
            _both(descents, styles),
        ]
    return canvas.Group(setting.heading, canvas.legend(styles), drawings)


def after_teleports(descent: DescentRecord) -> list[Visit]:
    """The point at which each step begins, after its teleport."""
    return [*{visit.step: visit for visit in descent.visits}.values()]


def jumps(descent: DescentRecord) -> list[tuple[Visit, Visit]]:
    """Where each teleport began and where it led."""
    return [(before, after) for before, after in pairwise(descent.visits) if after.teleported]


def _path(descent: DescentRecord, around: LandscapeRecord, style: canvas.Style) -> canvas.Drawing:
    figure, axes = canvas.panel("x", "y")
    _level_sets(axes, around)
    points = np.array([(visit.x, visit.y) for visit in descent.visits])
    few = len(points) <= _FEW
    line = style.line() | {"markersize": 3.5, "marker": style.marker if few else ""}
    axes.plot(*points.T, **line, gid="path")
    for before, after in jumps(descent):
        axes.plot([before.x, after.x], [before.y, after.y], color=_JUMP, lw=2, gid="jump")
    for minimiser in around.minimisers:
        axes.plot(*minimiser, marker="*", markersize=10, color="0.1", linestyle="", gid="minimum")
    axes.set(xlim=(around.x[0], around.x[-1]), ylim=(around.y[0], around.y[-1]))
    first, last = descent.visits[0], descent.visits[-1]
    alt = (
        f"Level sets and the path of {descent.variant} from {_at(first)} to {_at(last)} in "
        f"{last.step} steps, {len(jumps(descent))} teleports."
    )
    return canvas.finish(figure, alt)


def _level_sets(axes: Axes, around: LandscapeRecord) -> None:
    """Levels above the lowest value of the grid, as far apart as their logarithms."""
    values = np.array([[as_float(value) for value in row] for row in around.values])
    known = values[np.isfinite(values)].clip(-_FAR, _FAR)
    if known.size == 0 or known.max() <= known.min():
        return
    above = values.clip(-_FAR, _FAR) - known.min()
    top = float(known.max() - known.min())
    levels = np.log(np.geomspace(_LOWEST * top, top, _LEVELS))
    heights = np.log(np.maximum(above, _LOWEST * top / 10))
    axes.contour(
        around.x,
        around.y,
        heights,
        levels=levels,
        colors=canvas.REFERENCE_GREY,
        linewidths=0.5,
        linestyles="solid",
    )


def _at(visit: Visit) -> str:
    return f"({number(visit.x)}, {number(visit.y)})"


def _read(visit: Visit, what: str) -> float:
    """A value on a logarithmic axis; NaN where there is none."""
    value = as_float(visit.loss if what == "loss" else visit.grad_norm_sq)
    return min(max(value, 1 / _FAR), _FAR) if value > 0 else math.nan


def _curves(
    descents: Sequence[DescentRecord], styles: dict[str, canvas.Style], what: str
) -> canvas.Drawing:
    figure, axes = canvas.panel("step", what)
    words = []
    for descent in descents:
        steps = after_teleports(descent)
        values = [_read(visit, what) for visit in steps]
        line = styles[descent.variant].line() | {"marker": ""}
        axes.plot([visit.step for visit in steps], values, **line, gid="curve")
        words.append(f"{descent.variant}: {number(values[0])} to {number(values[-1])}.")
    _log_y(axes, descents, what)
    return canvas.finish(figure, " ".join([f"{what} against steps.", *words]))


def _both(descents: Sequence[DescentRecord], styles: dict[str, canvas.Style]) -> canvas.Drawing:
    figure, axes = canvas.panel("loss", "||g||²")
    for descent in descents:
        steps = after_teleports(descent)
        values = [[_read(visit, what) for visit in steps] for what in ("loss", "||g||²")]
        line = styles[descent.variant].line() | {"marker": ""}
        axes.plot(*values, **line, gid="curve")
        ends = [after for _, after in jumps(descent)]
        marks = [[_read(visit, what) for visit in ends] for what in ("loss", "||g||²")]
        axes.plot(*marks, linestyle="", marker="o", markersize=4, color=_JUMP, gid="jumps")
    axes.set_xscale("log")
    _log_y(axes, descents, "||g||²")
    return canvas.finish(figure, "||g||² against the loss; points to which teleports led.")


def _log_y(axes: Axes, descents: Sequence[DescentRecord], what: str) -> None:
    found = [_read(visit, what) for descent in descents for visit in descent.visits]
    known = [value for value in found if math.isfinite(value)]
    axes.set_yscale("log")
    if known:
        canvas.log_ticks(axes, min(known) / 1.3, max(known) * 1.3)
