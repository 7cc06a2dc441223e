"""Pictures of descents on test functions: every number given is drawn where it belongs."""

from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from reports.test_functions import Landscape, draw
from reports.test_functions.figures import steps_after_jumps


class Path(NamedTuple):
    points: list[tuple[float, float]]
    jumps: list[int]
    loss: list[float]
    grad_norm_sq: list[float]


PLAIN = Path([(3, 1), (2, 1), (1, 0)], [], [10.0, 5.0], [40.0, 20.0])
TWICE = Path(
    [(3, 1), (1, 3), (1, 1), (0.5, 0.5), (0.6, 0.4)], [0, 3], [10.0, 2.0, 0.5], [90.0, 9.0, 3.0]
)
BOWL = Landscape(lambda x, y: x**2 + y**2, (-4, 4), (-3, 3), [(0.0, 0.0)])


def lines(axes: Axes, gid: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_gid() == gid]


def test_the_step_after_a_teleport() -> None:
    assert steps_after_jumps(TWICE) == [0, 2]
    assert steps_after_jumps(PLAIN) == []


def test_paths_jumps_and_minima_are_drawn() -> None:
    figure = draw(BOWL, {"plain": PLAIN, "twice": TWICE})

    first, second, *_ = figure.axes
    assert len(figure.axes) == 5
    for axes, path in ((first, PLAIN), (second, TWICE)):
        (line,) = lines(axes, "path")
        assert line.get_xydata().tolist() == [[*map(float, point)] for point in path.points]
        (star,) = lines(axes, "minimum")
        assert star.get_xydata().tolist() == [[0.0, 0.0]]
        assert (axes.get_xlim(), axes.get_ylim()) == ((-4, 4), (-3, 3))
        assert len(axes.collections) > 0  # the level sets
    assert [jump.get_xydata().tolist() for jump in lines(second, "jump")] == [
        [[3, 1], [1, 3]],
        [[0.5, 0.5], [0.6, 0.4]],
    ]
    assert lines(first, "jump") == []


def test_curves_are_logarithmic_and_teleports_are_marked() -> None:
    figure = draw(BOWL, {"plain": PLAIN, "twice": TWICE})

    loss, norm, both = figure.axes[-3:]
    assert [line.get_ydata().tolist() for line in loss.lines] == [PLAIN.loss, TWICE.loss]
    assert [line.get_ydata().tolist() for line in norm.lines] == [
        PLAIN.grad_norm_sq,
        TWICE.grad_norm_sq,
    ]
    assert {axes.get_yscale() for axes in (loss, norm, both)} == {"log"}
    assert both.get_xscale() == "log"
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["plain", "twice"]
    marks = [line.get_xydata().tolist() for line in lines(both, "jumps")]
    assert marks == [[], [[10.0, 90.0], [0.5, 3.0]]]


@pytest.mark.parametrize("offset", [0.0, 7.0])
def test_levels_are_counted_from_the_minimum(offset: float) -> None:
    bowl = BOWL._replace(value=lambda x, y: x**2 + y**2 + offset)

    axes = draw(bowl, {"plain": PLAIN}).axes[0]

    levels = axes.collections[0].levels  # type: ignore[attr-defined]
    assert np.all(np.diff(np.log(levels)) > 0)
    assert levels[-1] == pytest.approx(25, rel=1e-2)
