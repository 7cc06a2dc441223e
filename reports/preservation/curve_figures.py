"""Figure 6b: what the steps do to the gradient and to the loss."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.storage.records import PreservationRecord
from reports.preservation.curves import curve_order, step_line
from reports.run.run import as_float
from reports.text import canvas
from reports.text.formatting import listed, number, small, tau


class Quantity(NamedTuple):
    """What a panel shows of each point of a curve."""

    key: str
    label: str
    drift: bool


GRADIENT = Quantity("grad_norm_sq", "squared gradient norm", drift=False)
LOSS = Quantity("drift_float32", "relative drift of the loss, teleport batch", drift=True)
LOSS_FLOAT64 = Quantity("drift_float64", "the same drift, evaluated in float64", drift=True)
HELD_OUT = Quantity("heldout_drift", "relative drift of the loss, held-out data", drift=True)


def preservation_groups(
    records: Sequence[PreservationRecord], looks: Mapping[str, canvas.Style]
) -> list[canvas.Group]:
    """Figure 6b: per model, data set, dtype and start a row of panels, one curve per tau.

    All curves of a variant have the colour that ``looks`` gives it, paler for each further tau.
    """
    chosen = [record for record in records if record.status == "ok" and record.rows]
    chosen.sort(key=lambda record: (_place(record), curve_order(record)))
    return [
        _preservation_group(names, list(curves), looks) for names, curves in groupby(chosen, _place)
    ]


def _place(record: PreservationRecord) -> tuple[str, str, str, str]:
    return (record.model, record.dataset, record.dtype, record.start)


def _preservation_group(
    names: tuple[str, str, str, str],
    curves: list[PreservationRecord],
    looks: Mapping[str, canvas.Style],
) -> canvas.Group:
    model, dataset, dtype, start = names
    heading = ", ".join(part for part in (f"{model} on {dataset}", dtype, _start(start)) if part)
    labels = unique([curve_label(record, curves) for record in curves])
    chosen = _shades(labels, curves, looks)
    lines = [(label, record, chosen[label]) for label, record in zip(labels, curves, strict=True)]
    quantities = [
        GRADIENT,
        LOSS,
        *([LOSS_FLOAT64] if distinct_in_float64(curves) else []),
        # A model of the user's may bring no held-out data.
        *([HELD_OUT] if any(step_line(record, HELD_OUT.key)[0] for record in curves) else []),
    ]
    with canvas.look():
        drawings = [_draw_steps(lines, quantity) for quantity in quantities]
    return canvas.Group(heading, canvas.legend(chosen), drawings, rates_of(curves))


def _shades(
    labels: Sequence[str], curves: Sequence[PreservationRecord], looks: Mapping[str, canvas.Style]
) -> dict[str, canvas.Style]:
    """A style for each curve: the colour of its variant, paler from curve to curve."""
    seen: dict[str, int] = {}
    chosen = {}
    for label, record in zip(labels, curves, strict=True):
        place = seen.setdefault(record.variant, 0)
        seen[record.variant] += 1
        chosen[label] = canvas.lighter(looks[record.variant], place)
    return chosen


def rates_of(curves: Sequence[PreservationRecord]) -> str:
    """Which variant took which learning rate, ``nullspace 0.02; symmetry 0.3 and 0.4``."""
    found: dict[str, list[str]] = {}
    for record in sorted(curves, key=curve_order):
        rate = number(as_float(record.lr)) if record.lr else "one of its own"
        own = found.setdefault(record.variant, [])
        if rate not in own:
            own.append(rate)
    return "; ".join(f"{variant} {listed(rates)}" for variant, rates in found.items())


def curve_label(record: PreservationRecord, among: Sequence[PreservationRecord]) -> str:
    """The variant, with its tau where tau is not in its name and says something."""
    variant, value = record.variant, record.tau
    taus = {other.tau for other in among if other.variant == variant}
    bounded = any(point.preactivation_bound is not None for point in record.rows)
    if value is None or "tau=" in variant or (len(taus) == 1 and not bounded):
        return variant
    return f"{variant}, τ = {tau(value)}"


def unique(labels: Sequence[str]) -> list[str]:
    """The labels, those that come again with a running number."""
    seen: dict[str, int] = {}
    result = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        result.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return result


def _start(start: str) -> str:
    return {"init": "from initial weights", "trained": "from trained weights"}.get(start, start)


def distinct_in_float64(curves: list[PreservationRecord]) -> bool:
    """Whether the float64 evaluation of the drift would look any different in a figure."""
    points = [point for record in curves for point in record.rows]
    pairs = [(as_float(p.drift_float32), as_float(p.drift_float64)) for p in points]
    return any(abs(a - b) > 0.02 * max(abs(a), abs(b)) for a, b in pairs)


def _draw_steps(
    lines: list[tuple[str, PreservationRecord, canvas.Style]], quantity: Quantity
) -> canvas.Drawing:
    figure, axes = canvas.panel("teleport step", quantity.label)
    words: list[str] = []
    shown: list[float] = []
    places: list[tuple[float, float, str]] = []
    for label, record, style in lines:
        steps, values = step_line(record, quantity.key)
        if steps:
            extra: dict[str, Any] = {"clip_on": not quantity.drift, "gid": "curve", "label": label}
            axes.plot(steps, values, **style.line(), **extra)
            places += [
                (x, y, f"{label}, step {x}: {small(y)}") for x, y in zip(steps, values, strict=True)
            ]
            words.append(_step_words(label, values, quantity))
            shown += values
    if quantity.drift:
        canvas.symlog_ticks(axes, shown)
        _rounding(axes, [record for _, record, _ in lines], shown)
    else:
        _gradient_axis(axes, shown)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    sentences = words or ["Nothing was measured."]
    spots = [canvas.spot(figure, axes, *place) for place in places]
    alt = f"{quantity.label.capitalize()} against step. {' '.join(sentences)}"
    return canvas.finish(figure, alt, spots)


def _gradient_axis(axes: Axes, shown: list[float]) -> None:
    positive = [value for value in shown if value > 0]
    if positive:
        axes.set_yscale("log")
        ratio = max(max(positive) / min(positive), 1.5) ** 0.06
        canvas.log_ticks(axes, min(positive) / ratio, max(positive) * ratio)


def _rounding(axes: Axes, curves: list[PreservationRecord], shown: list[float]) -> None:
    """A line at the distance of two neighbouring float32 numbers, where it is in the picture."""
    epsilon = 2.0**-23
    single = any(record.dtype == "float32" for record in curves)
    if single and min((v for v in shown if v > 0), default=1.0) < epsilon < max(shown):
        axes.axhline(epsilon, color=canvas.REFERENCE_GREY, lw=0.7, linestyle=(0, (1, 2)))


def _step_words(label: str, values: list[float], quantity: Quantity) -> str:
    if quantity.drift:
        return f"{label}: at most {small(max(values))}."
    return f"{label}: from {number(values[0])} to {number(values[-1])}."
