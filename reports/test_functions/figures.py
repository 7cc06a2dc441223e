"""Level sets with the paths of descents, their loss and their gradient, from plain numbers.

Figures 1 to 3 of Zhao et al. (2022), arXiv 2205.10637, and figure 1 of Mishkin et al. (2024), arXiv
2403.03362, have these panels.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.text.canvas import PANEL_INCHES, REFERENCE_GREY, Style, look, styles

_GRID = 400
_LEVELS = 12
_JUMP = "#d55e00"


class Trajectory(Protocol):
    """What is drawn of a descent; ``baselines.test_functions.Descent`` is one."""

    @property
    def points(self) -> Sequence[tuple[float, float]]:
        """Every point in order."""

    @property
    def jumps(self) -> Sequence[int]:
        """Places in ``points`` from which a teleport led to the next."""

    @property
    def loss(self) -> Sequence[float]:
        """Before every step."""

    @property
    def grad_norm_sq(self) -> Sequence[float]:
        """Likewise, ||g||^2."""


class Landscape(NamedTuple):
    """The function and the part of the plane that is shown.

    Attributes:
        value: f of two arrays of coordinates, elementwise.
        x: from, to.
        y: likewise.
        minimisers: marked by stars.
    """

    value: Callable[[Any, Any], Any]
    x: tuple[float, float]
    y: tuple[float, float]
    minimisers: Sequence[tuple[float, float]] = ()


def draw(landscape: Landscape, descents: Mapping[str, Trajectory]) -> Figure:
    """A panel of level sets for each descent, then loss, ||g||^2 and one against the other."""
    chosen = styles([*descents])
    with look():
        columns = len(descents) + 3
        width, height = PANEL_INCHES
        figure = Figure(figsize=(width * columns, height), layout="constrained")
        panels = list(figure.subplots(1, columns))
        for axes, (name, descent) in zip(panels, descents.items(), strict=False):
            _draw_paths(axes, landscape, name, descent, chosen[name])
        loss, norm, both = panels[len(descents) :]
        for name, descent in descents.items():
            line = {**chosen[name].line(), "marker": "", "label": name}
            loss.plot(descent.loss, **line)
            norm.plot(descent.grad_norm_sq, **line)
            both.plot(descent.loss, descent.grad_norm_sq, **line)
            _mark_jumps(both, descent)
        _finish(loss, "step", "loss")
        _finish(norm, "step", "||g||²")
        _finish(both, "loss", "||g||²")
        both.set_xscale("log")
        loss.legend(frameon=False)
        return figure


def steps_after_jumps(descent: Trajectory) -> list[int]:
    """The step that follows each teleport; every teleport put one point more into the list."""
    return [place - earlier for earlier, place in enumerate(descent.jumps)]


def _draw_paths(
    axes: Axes, landscape: Landscape, name: str, descent: Trajectory, style: Style
) -> None:
    x, y = (np.linspace(low, high, _GRID) for low, high in (landscape.x, landscape.y))
    values = np.asarray(landscape.value(*np.meshgrid(x, y)))
    # Above the minimum the levels are as far apart as their logarithms.
    above = values - values.min()
    levels = np.geomspace(max(above.max() * 1e-5, np.finfo(float).tiny), above.max(), _LEVELS)
    axes.contour(x, y, above, levels=levels, colors=REFERENCE_GREY, linewidths=0.5)
    points = np.asarray(descent.points)
    axes.plot(*points.T, **{**style.line(), "markersize": 3}, gid="path")
    for place in descent.jumps:
        axes.plot(*points[place : place + 2].T, color=_JUMP, linewidth=2, gid="jump")
    for minimiser in landscape.minimisers:
        axes.plot(*minimiser, marker="*", markersize=10, color="0.1", linestyle="", gid="minimum")
    axes.set(xlim=landscape.x, ylim=landscape.y, xlabel="x")
    axes.set_title(f"y, {name}", x=0.0, pad=7)


def _mark_jumps(axes: Axes, descent: Trajectory) -> None:
    steps = steps_after_jumps(descent)
    loss, norms = (
        [values[step] for step in steps] for values in (descent.loss, descent.grad_norm_sq)
    )
    axes.plot(loss, norms, linestyle="", marker="o", color=_JUMP, gid="jumps")


def _finish(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_yscale("log")
    axes.set_xlabel(x_label)
    axes.set_title(y_label, x=0.0, pad=7)
