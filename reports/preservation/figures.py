"""Figure 6: how the variance of a layer's input is spread, and what the steps do to the loss."""

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from reports.preservation.error_tables import cumulative_shares, curve_order
from reports.run.run import Record
from reports.run.run import number as as_float
from reports.text.canvas import (
    REFERENCE_GREY,
    Drawing,
    Entry,
    Style,
    finish,
    legend,
    log_ticks,
    look,
    panel,
    styles,
    symlog_ticks,
)
from reports.text.formatting import listed, number, percent, small, tau

SECOND_LAYER = 2
_FRONT = Style("#0173b2", "o", (), "solid line with circles")
_OTHER = Style("0.6", "", (), "thin grey line")


class Group(NamedTuple):
    """Panels that belong together, under one heading and one legend."""

    heading: str
    legend: list[Entry]
    drawings: list[Drawing]


class Quantity(NamedTuple):
    """What a panel of Figure 6b shows of each row of a preservation record."""

    key: str
    label: str
    drift: bool


GRADIENT = Quantity("grad_norm_sq", "squared gradient norm", drift=False)
LOSS = Quantity("drift_float32", "relative drift of the loss, teleport batch", drift=True)
LOSS_FLOAT64 = Quantity("drift_float64", "the same drift, evaluated in float64", drift=True)
HELD_OUT = Quantity("heldout_drift", "relative drift of the loss, held-out data", drift=True)


def spectrum_overview(
    spectrum: Sequence[Record], front: Sequence[int] = (SECOND_LAYER,)
) -> Group | None:
    """Figure 6a as in the paper: one line for each model and data set; None for a single one."""
    key = _names("model", "dataset")
    places = sorted({key(record) for record in spectrum})
    if len(places) < 2:
        return None
    chosen = sorted(
        (record for record in spectrum if record.get("position") in front),
        key=lambda record: (places.index(key(record)), record["position"]),
    )
    labels = [f"{' on '.join(key(record))}, {record['layer']}" for record in chosen]
    looks = styles(labels)
    with look():
        lines = [(record, looks[label]) for label, record in zip(labels, chosen, strict=True)]
        return Group("All networks", legend(looks), [_draw_spectra(lines)])


def spectrum_groups(
    spectrum: Sequence[Record], front: Sequence[int] = (SECOND_LAYER,)
) -> list[Group]:
    """Figure 6a: one panel per model and data set, a line per layer, those of ``front`` in front.

    ``front`` counts layers from 1, in the order of their first use.
    """
    key = _names("model", "dataset")
    chosen = sorted(spectrum, key=lambda record: (key(record), record.get("position") or 0))
    with look():
        return [
            Group(" on ".join(names), [], [_draw_layers(list(layers), front)])
            for names, layers in groupby(chosen, key)
        ]


def spectrum_legend(front: Sequence[int] = (SECOND_LAYER,)) -> list[Entry]:
    """The legend of all panels of Figure 6a."""
    words = "input of the second layer"
    if tuple(front) != (SECOND_LAYER,):
        numbers = listed([str(number) for number in front])
        words = f"inputs of {'layer' if len(front) == 1 else 'layers'} {numbers}"
    return legend({words: _FRONT, "inputs of the other layers": _OTHER})


def spectrum_line(record: Record) -> tuple[list[float], list[float]]:
    """Percent of the eigenvectors and percent of the energy they hold, k = 1, 2, ..."""
    shares = cumulative_shares([as_float(value) for value in record["eigenvalues"]])
    height = record.get("rows") or len(shares)
    kept = min(height, record.get("columns") or height) or 1
    return [100 * k / kept for k in range(1, len(shares) + 1)], [100 * s for s in shares]


def _draw_layers(layers: list[Record], front: Sequence[int]) -> Drawing:
    ordered = sorted(layers, key=lambda record: record.get("position") in front)
    return _draw_spectra([(r, _FRONT if r.get("position") in front else _OTHER) for r in ordered])


def _draw_spectra(lines: list[tuple[Record, Style]]) -> Drawing:
    figure, axes = panel("share of the eigenvectors, %", "cumulative energy, %")
    words = []
    for record, style in lines:
        x, y = spectrum_line(record)
        if not x:
            continue
        behind = style is _OTHER
        extra: dict[str, Any] = {"lw": 0.9} if behind else {"markevery": max(1, len(x) // 12)}
        axes.plot(x, y, **{**style.line(), **extra}, gid="layer" if behind else "second")
        words.append(_spectrum_words(record, y))
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 103)
    return finish(figure, "Cumulative energy against share of eigenvectors. " + " ".join(words))


def _spectrum_words(record: Record, energies: list[float]) -> str:
    if not all(map(math.isfinite, energies)):
        return f"{record['layer']}: no energy."
    enough = next((k for k, energy in enumerate(energies, 1) if energy >= 90), len(energies))
    return (
        f"{record['layer']}: 90 % of the energy in {enough} of {len(energies)} eigenvectors, "
        f"{percent(energies[0] / 100)} in the first."
    )


def preservation_groups(records: Sequence[Record]) -> list[Group]:
    """Figure 6b: per model, data set, dtype and start a row of panels, one curve per tau."""
    key = _names("model", "dataset", "dtype", "start")
    chosen = [r for r in records if r["status"] == "ok" and r["rows"]]
    chosen.sort(key=lambda record: (key(record), curve_order(record)))
    return [_preservation_group(names, list(curves)) for names, curves in groupby(chosen, key)]


def _preservation_group(names: tuple[str, ...], curves: list[Record]) -> Group:
    model, dataset, dtype, start = names
    heading = ", ".join(part for part in (f"{model} on {dataset}", dtype, _start(start)) if part)
    labels = unique([curve_label(record, curves) for record in curves])
    chosen = styles(labels)
    lines = [(label, record, chosen[label]) for label, record in zip(labels, curves, strict=True)]
    quantities = [
        GRADIENT,
        LOSS,
        *([LOSS_FLOAT64] if distinct_in_float64(curves) else []),
        # A model of the user's may bring no held-out data.
        *([HELD_OUT] if any(step_line(record, HELD_OUT.key)[0] for record in curves) else []),
    ]
    with look():
        drawings = [_draw_steps(lines, quantity) for quantity in quantities]
    return Group(heading, legend(chosen), drawings)


def curve_label(record: Record, among: Sequence[Record]) -> str:
    """The variant, with its tau where tau is not in its name and says something."""
    variant = str(record["variant"])
    taus = {other.get("tau") for other in among if other["variant"] == variant}
    bounded = any(row.get("preactivation_bound") is not None for row in record["rows"])
    value = record.get("tau")
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


def distinct_in_float64(curves: list[Record]) -> bool:
    """Whether the float64 evaluation of the drift would look any different in a figure."""
    rows = [row for record in curves for row in record["rows"]]
    pairs = [(as_float(r.get("drift_float32")), as_float(r.get("drift_float64"))) for r in rows]
    return any(abs(a - b) > 0.02 * max(abs(a), abs(b)) for a, b in pairs)


def step_line(record: Record, key: str) -> tuple[list[int], list[float]]:
    """Steps and values of one curve; steps at which nothing is known are left out."""
    known = [(row["step"], as_float(row.get(key))) for row in record["rows"]]
    known = [(step, value) for step, value in known if math.isfinite(value)]
    return [step for step, _ in known], [value for _, value in known]


def _draw_steps(lines: list[tuple[str, Record, Style]], quantity: Quantity) -> Drawing:
    figure, axes = panel("teleport step", quantity.label)
    words: list[str] = []
    shown: list[float] = []
    for label, record, style in lines:
        steps, values = step_line(record, quantity.key)
        if steps:
            axes.plot(steps, values, **style.line(), clip_on=not quantity.drift, gid="curve")
            words.append(_step_words(label, values, quantity))
            shown += values
    if quantity.drift:
        symlog_ticks(axes, shown)
        _rounding(axes, [record for _, record, _ in lines], shown)
    else:
        _gradient_axis(axes, shown)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    sentences = words or ["Nothing was measured."]
    return finish(figure, f"{quantity.label.capitalize()} against step. {' '.join(sentences)}")


def _gradient_axis(axes: Axes, shown: list[float]) -> None:
    positive = [value for value in shown if value > 0]
    if positive:
        axes.set_yscale("log")
        ratio = max(max(positive) / min(positive), 1.5) ** 0.06
        log_ticks(axes, min(positive) / ratio, max(positive) * ratio)


def _rounding(axes: Axes, curves: list[Record], shown: list[float]) -> None:
    """A line at the distance of two neighbouring float32 numbers, where it is in the picture."""
    epsilon = 2.0**-23
    single = any(record.get("dtype") == "float32" for record in curves)
    if single and min((v for v in shown if v > 0), default=1.0) < epsilon < max(shown):
        axes.axhline(epsilon, color=REFERENCE_GREY, lw=0.7, linestyle=(0, (1, 2)))


def _step_words(label: str, values: list[float], quantity: Quantity) -> str:
    if quantity.drift:
        return f"{label}: at most {small(max(values))}."
    return f"{label}: from {number(values[0])} to {number(values[-1])}."


def _names(*keys: str) -> Callable[[Record], tuple[str, ...]]:
    return lambda record: tuple(str(record.get(key) or "") for key in keys)
