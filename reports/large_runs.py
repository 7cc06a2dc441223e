"""What a page shows of a run that is too large for one: the part that matters, and a note.

The CSV files hold everything. Of an ordinary run nothing is left out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from bench.spec.axes import AXES
from bench.storage.records import CellRecord
from reports.run.run import SGD, Run
from reports.run.setting import Setting, setting_of, unfinished
from reports.tables.analysis import Analysis
from reports.tables.runtime import CellRow
from reports.text.formatting import whole

# Cells up to which every one is shown, and how many of more of them.
MOST_CELLS = 2000
_MOST_ROWS = 1200
_MOST_CURVES = 160


class Limits(NamedTuple):
    """How many settings, variants in each, and levels of an axis are drawn."""

    settings: int
    variants: int
    levels: int


_ORDINARY = Limits(settings=16, variants=24, levels=1000)
_LARGE = Limits(settings=3, variants=8, levels=24)


class Excerpt(NamedTuple):
    """A run as a page shows it: what is drawn, and the rows of the table of all cells."""

    analysis: Analysis
    listed: Sequence[CellRow]


def excerpt(found: Analysis) -> Excerpt:
    """The part of a run that its page shows; the same run gives the same part."""
    run, base = found.run, found.base
    limits = _ORDINARY if len(run.cells) <= MOST_CELLS else _LARGE
    kept = _cells(run, base, limits)
    rows = _rows(run.cells, kept)
    preservation, spectrum = run.preservation[:_MOST_CURVES], run.spectrum[:_MOST_CURVES]
    notes = [
        *_note("cells", "drawn", len(kept), len(run.cells), "runtime.csv"),
        *_note("cells", "in the table of cells", len(rows), len(run.cells), "runtime.csv"),
        *_note("curves", "drawn", len(preservation), len(run.preservation), "preservation.csv"),
        *_note("spectra", "drawn", len(spectrum), len(run.spectrum), "spectrum.csv"),
    ]
    notes = [*run.notes, *_unfinished(run), *notes]
    shown = replace(run, cells=kept, preservation=preservation, spectrum=spectrum, notes=notes)
    return Excerpt(_drawn(found, shown), [row for row in found.cells if row.cell_id in rows])


def _drawn(found: Analysis, shown: Run) -> Analysis:
    """What was derived from the cells and variants that are drawn."""
    ids = {cell.cell_id for cell in shown.cells}
    variants = {(setting_of(cell), cell.variant) for cell in shown.cells}
    return replace(
        found,
        run=shown,
        cells=[row for row in found.cells if row.cell_id in ids],
        growth=[each for each in found.growth if (each.setting, each.variant) in variants],
        ratios=[row for row in found.ratios if row.cell_id in ids],
        crossings=[each for each in found.crossings if (each.setting, each.variant) in variants],
    )


def _note(what: str, how: str, shown: int, count: int, file: str) -> list[str]:
    if shown == count:
        return []
    return [
        f"This run is too large for one page: {whole(shown)} of {whole(count)} {what} are {how}; "
        f"all of them are in {file}."
    ]


def _unfinished(run: Run) -> list[str]:
    """A run that only profiles has no cells to miss."""
    return [] if run.profiles and not run.cells else unfinished(run.cells, run.spec)


def _cells(run: Run, base: dict[str, int], limits: Limits) -> list[CellRecord]:
    """The settings with most cells, their first variants, and levels spread over each axis."""
    settings = _most_common((setting_of(cell) for cell in run.cells), limits.settings)
    variants = {SGD, *_variants(run, limits.variants)}
    chosen = [c for c in run.cells if setting_of(c) in settings and c.variant in variants]
    levels = _levels(chosen, base, limits.levels)
    return [
        cell
        for cell in chosen
        if all(getattr(cell, axis) in levels[setting_of(cell), axis] for axis in AXES)
    ]


def _variants(run: Run, most: int) -> list[str]:
    """Those of the spec in its order, then the others by name."""
    found = {cell.variant for cell in run.cells if cell.method != SGD}
    asked = [name for name in (run.spec or {}).get("methods") or [] if name in found]
    return [*asked, *sorted(found - set(asked))][:most]


def _levels(
    cells: Iterable[CellRecord], base: dict[str, int], most: int
) -> dict[tuple[Setting, str], set[int | None]]:
    """Levels of every axis in every setting, thinned where there are too many."""
    found: dict[tuple[Setting, str], set[int | None]] = {}
    for cell in cells:
        for axis in AXES:
            found.setdefault((setting_of(cell), axis), set()).add(getattr(cell, axis))
    return {
        (setting, axis): levels if len(levels) <= most else _spread(levels, most) | {base[axis]}
        for (setting, axis), levels in found.items()
    }


def _spread(levels: set[int | None], most: int) -> set[int | None]:
    """The lowest, the highest, and evenly many in between."""
    ordered = sorted(level for level in levels if level is not None)
    return {ordered[round(i * (len(ordered) - 1) / (most - 1))] for i in range(most)}


def _rows(cells: Sequence[CellRecord], drawn: Sequence[CellRecord]) -> set[str]:
    """Every cell of an ordinary run; of a large one those that failed first, then those drawn."""
    if len(cells) <= MOST_CELLS:
        return {cell.cell_id for cell in cells}
    failed = [cell.cell_id for cell in cells if cell.status != "ok"][: _MOST_ROWS // 2]
    rest = [cell.cell_id for cell in drawn if cell.status == "ok"]
    return {*failed, *rest[: _MOST_ROWS - len(failed)]}


def _most_common(names: Iterable[Setting], most: int) -> set[Setting]:
    counts = Counter(names)
    return set(sorted(counts, key=lambda name: (-counts[name], name))[:most])
