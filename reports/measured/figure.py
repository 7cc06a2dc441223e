"""Two panels on a live model: what a call costs, and what it does to the gradient."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from reports.measured.rows import MethodMeasured
from reports.text import canvas
from reports.text.formatting import interval, number

_COSTS = (
    ("a step", "step_sgd_steps"),
    ("preparing", "prepare_sgd_steps"),
    ("whole call", "call_sgd_steps"),
)
_INCHES = (7.6, 3.2)
_SPREAD = 0.5  # of the room between two places, for the marks of all methods


def cost_and_gain(methods: Sequence[MethodMeasured]) -> Figure:
    """Left medians and intervals in SGD steps, right ||g||^2 over its value at the start."""
    methods = [each for each in methods if each.grad_norm_sq]
    styles = canvas.styles([each.variant for each in methods])
    with canvas.look():
        figure = Figure(figsize=_INCHES)
        left, right = figure.subplots(1, 2)
        _draw_costs(left, methods, styles)
        _draw_gains(right, methods, styles)
        figure.subplots_adjust(left=0.07, right=0.985, top=0.9, bottom=0.25, wspace=0.2)
        lines = [canvas.handle(style) for style in styles.values()]
        names = figure.legend(lines, list(styles), loc="lower center", ncols=4, frameon=False)
        for text in names.get_texts():
            text.set_parse_math(False)
        return figure


def _draw_costs(
    axes: Axes, methods: Sequence[MethodMeasured], styles: dict[str, canvas.Style]
) -> None:
    axes.set_title("in SGD steps", x=0.0, pad=7)
    axes.set_yscale("log")
    seen = []
    for rank, method in enumerate(methods):
        shift = _SPREAD * ((rank + 0.5) / len(methods) - 0.5)
        for place, (_, name) in enumerate(_COSTS):
            value, low, high = getattr(method, name)
            if not value > 0:
                continue
            bars = [[value - low], [high - value]] if math.isfinite(low + high) else None
            look = {**styles[method.variant].line(), "linestyle": "none", "capsize": 2}
            axes.errorbar([place + shift], [value], yerr=bars, **look)
            seen += [each for each in (value, low, high) if each > 0]
    axes.axhline(1.0, color=canvas.REFERENCE_GREY, lw=0.7)
    axes.set_xlim(-0.5, len(_COSTS) - 0.5)
    axes.xaxis.set_major_locator(FixedLocator([*range(len(_COSTS))]))
    axes.xaxis.set_major_formatter(FixedFormatter([words for words, _ in _COSTS]))
    axes.xaxis.set_minor_locator(NullLocator())
    canvas.log_ticks(axes, min([1.0, *seen]) / 1.5, max([1.0, *seen]) * 1.5)


def _draw_gains(
    axes: Axes, methods: Sequence[MethodMeasured], styles: dict[str, canvas.Style]
) -> None:
    axes.set_title("‖g‖² over its value at the start", x=0.0, pad=7)
    axes.set_xlabel("teleport step")
    axes.set_yscale("log")
    seen = [1.0]
    for method in methods:
        first = method.grad_norm_sq[0]
        known = [(k, n / first) for k, n in enumerate(method.grad_norm_sq) if first > 0 and n > 0]
        axes.plot(*zip(*known, strict=True), **styles[method.variant].line())
        seen += [ratio for _, ratio in known if math.isfinite(ratio)]
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    canvas.log_ticks(axes, min(seen) / 1.2, max(seen) * 1.2)


def described(methods: Sequence[MethodMeasured]) -> str:
    """The same in words and numbers, for those who do not see it."""
    said = [
        f"{each.variant}: a whole call takes {interval(*each.call_sgd_steps)} SGD steps and "
        f"multiplies the squared gradient norm by {number(each.gain)}."
        for each in methods
        if each.grad_norm_sq
    ]
    return " ".join(said or ["No method moved."])
