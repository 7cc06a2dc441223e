"""Figure 6a: how the variance of a layer's input is spread over its eigenvectors."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from bench.storage.records import SpectrumRecord
from reports.preservation.eigenvalues import SECOND_LAYER, cumulative_shares, eigenvectors
from reports.text.canvas import Drawing, Entry, Group, Style, finish, legend, look, panel, styles
from reports.text.formatting import listed, percent

_FRONT = Style("#1a1a1a", "o", (), "solid line with circles")
_OTHER = Style("0.6", "", (), "thin grey line")


def spectrum_overview(
    spectrum: Sequence[SpectrumRecord], front: Sequence[int] = (SECOND_LAYER,)
) -> Group | None:
    """Figure 6a as in the paper: one line for each model and data set; None for a single one."""
    places = sorted({_place(record) for record in spectrum})
    if len(places) < 2:
        return None
    chosen = sorted(
        (record for record in spectrum if record.position in front),
        key=lambda record: (places.index(_place(record)), record.position or 0),
    )
    labels = [f"{' on '.join(_place(record))}, {record.layer}" for record in chosen]
    looks = styles(labels)
    with look():
        lines = [(record, looks[label]) for label, record in zip(labels, chosen, strict=True)]
        return Group("All networks", legend(looks), [_draw_spectra(lines)])


def spectrum_groups(
    spectrum: Sequence[SpectrumRecord], front: Sequence[int] = (SECOND_LAYER,)
) -> list[Group]:
    """Figure 6a: one panel per model and data set, a line per layer, those of ``front`` in front.

    ``front`` counts layers from 1, in the order of their first use.
    """
    chosen = sorted(spectrum, key=lambda record: (_place(record), record.position or 0))
    with look():
        return [
            Group(" on ".join(names), [], [_draw_layers(list(layers), front)])
            for names, layers in groupby(chosen, _place)
        ]


def spectrum_legend(front: Sequence[int] = (SECOND_LAYER,)) -> list[Entry]:
    """The legend of all panels of Figure 6a."""
    words = "input of the second layer"
    if tuple(front) != (SECOND_LAYER,):
        numbers = listed([str(number) for number in front])
        words = f"inputs of {'layer' if len(front) == 1 else 'layers'} {numbers}"
    return legend({words: _FRONT, "inputs of the other layers": _OTHER})


def _place(record: SpectrumRecord) -> tuple[str, str]:
    return (record.model, record.dataset)


def spectrum_line(record: SpectrumRecord) -> tuple[list[float], list[float]]:
    """Percent of the eigenvectors and percent of the energy they hold, k = 1, 2, ..."""
    shares = cumulative_shares(record)
    kept = eigenvectors(record)
    return [100 * k / kept for k in range(1, len(shares) + 1)], [100 * s for s in shares]


def _draw_layers(layers: list[SpectrumRecord], front: Sequence[int]) -> Drawing:
    ordered = sorted(layers, key=lambda record: record.position in front)
    return _draw_spectra([(r, _FRONT if r.position in front else _OTHER) for r in ordered])


def _draw_spectra(lines: list[tuple[SpectrumRecord, Style]]) -> Drawing:
    figure, axes = panel("share of the eigenvectors, %", "cumulative energy, %")
    words = []
    for record, style in lines:
        x, y = spectrum_line(record)
        if not x:
            continue
        behind = style is _OTHER
        extra: dict[str, Any] = {"lw": 0.9} if behind else {"markevery": max(1, len(x) // 12)}
        axes.plot(
            x,
            y,
            **{**style.line(), **extra},
            gid="layer" if behind else "second",
            label=record.layer,
        )
        words.append(_spectrum_words(record, y))
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 103)
    return finish(figure, "Cumulative energy against share of eigenvectors. " + " ".join(words))


def _spectrum_words(record: SpectrumRecord, energies: list[float]) -> str:
    if not all(map(math.isfinite, energies)):
        return f"{record.layer}: no energy."
    enough = next((k for k, energy in enumerate(energies, 1) if energy >= 90), len(energies))
    return (
        f"{record.layer}: 90 % of the energy in {enough} of {len(energies)} eigenvectors, "
        f"{percent(energies[0] / 100)} in the first."
    )
