"""A panel with one cell's times over the gates, its levels, and the steps between them."""

from collections.abc import Sequence
from itertools import pairwise

from reports.text.canvas import Drawing, finish, log_ticks, look, panel

_ROOM = 1.25  # above the largest and below the smallest value, as a factor
_POINT = "#0b5394"
_LEVEL = "#b3261e"


def draw(
    seconds: Sequence[float], starts: Sequence[int], levels: Sequence[float], alt: str
) -> Drawing:
    """Points for ``seconds``, oldest first; lines for ``levels`` of stretches from ``starts``."""
    with look():
        figure, axes = panel("gate, oldest first", "prepare and steps")
        axes.set_yscale("log")
        axes.plot(range(1, len(seconds) + 1), seconds, ".", color=_POINT, markersize=4)
        edges = [*starts, len(seconds)]
        for (start, end), level in zip(pairwise(edges), levels, strict=True):
            axes.plot([start + 0.5, end + 0.5], [level, level], color=_LEVEL, linewidth=1.5)
        for start in starts[1:]:
            axes.axvline(start + 0.5, color=_LEVEL, linewidth=0.6, linestyle=":")
        axes.set_xlim(0.5, len(seconds) + 0.5)
        log_ticks(axes, min(seconds) / _ROOM, max(seconds) * _ROOM, seconds=True)
        return finish(figure, alt)
