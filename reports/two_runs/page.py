"""The page of two runs: a forest plot of ratios, a table, both environments."""

from pathlib import Path

from markupsafe import Markup

from bench.errors import NotComparableError
from bench.files import write_whole
from reports import page
from reports.front.dots import Dot, dots
from reports.front.facts import facts
from reports.run.run import load
from reports.sections.section import TEMPLATES
from reports.tables.analysis import analysed
from reports.tables.columns import frame
from reports.text import csv_files, formatting
from reports.text import html_tables as html
from reports.text.canvas import styles
from reports.text.html_tables import Column, Table
from reports.two_runs.machines import machine_tables
from reports.two_runs.pairs import PairRow, Pairs, counted, label, pairs, varied_axes

NAME = "comparison"
_MOST_DRAWN = 40


def write_comparison(first: Path, second: Path) -> Path:
    """Write ``comparison.html`` and ``comparison.csv`` into the second run; the page's path.

    Raises:
        bench.errors.JournalError: a journal is missing or damaged.
        bench.errors.NotComparableError: no cell is in both runs.
        bench.errors.StorageError: a file cannot be written.
    """
    ours, theirs = analysed(load(first)), analysed(load(second))
    found = pairs(ours, theirs)
    if not found.rows:
        raise NotComparableError(
            f"expected cells that {first} and {second} have in common: the same variant, model, "
            "data, dtype and levels; got none: run the same sweep twice"
        )
    apart, alike = machine_tables(ours.run.environment, theirs.run.environment)
    html_text = page.document(
        TEMPLATES / "comparison.html.j2",
        title="Two runs, side by side",
        runs=[("first", facts(ours.run)), ("second", facts(theirs.run))],
        verdicts=_verdict_words(found),
        figure=_forest(found.rows),
        left=max(len(found.rows) - _MOST_DRAWN, 0),
        ratios=_table(found.rows),
        apart=apart,
        alike=alike,
        file=f"{NAME}.csv",
    )
    write_whole(second / f"{NAME}.csv", csv_files.csv(frame(found.rows, PairRow)))
    target = second / f"{NAME}.html"
    write_whole(target, html_text)
    return target


def _verdict_words(found: Pairs) -> str:
    words = [f"{count} {name.replace('_', ' ')}" for name, count in counted(found.rows).items()]
    rest = [
        f"{count} cells are in the {name} run alone"
        for name, count in (("first", found.only_first), ("second", found.only_second))
        if count
    ]
    more = f" {'; '.join(rest).capitalize()}." if rest else ""
    return (
        f"Of {len(found.rows)} cells in both runs, of the second against the first: "
        f"{formatting.listed(words)}.{more}"
    )


def _forest(rows: list[PairRow]) -> Markup | object:
    """The largest differences first; names in the colour of their variant."""
    varied = varied_axes(rows)
    looks = styles(list(dict.fromkeys(row.variant for row in rows)))
    known = [row for row in rows if row.ratio > 0]
    known.sort(key=lambda row: (-max(row.ratio, 1 / row.ratio), label(row, varied)))
    chosen = sorted(known[:_MOST_DRAWN], key=lambda row: -row.ratio)
    found = [
        Dot(label(row, varied), row.ratio, row.ratio_low, row.ratio_high, "") for row in chosen
    ]
    colours = {label(row, varied): looks[row.variant] for row in chosen}
    note = "Right of the line the second run takes longer. Time of prepare and steps."
    unit = "times as long, logarithmic"
    return dots("Second run over first", "as long as the first", unit, note, found, colours)


def _table(rows: list[PairRow]) -> Table:
    varied = varied_axes(rows)
    numeric = [f"{formatting.WORDS[axis]} {axis}" for axis in varied]
    numeric += ["first run", "second run", "ratio", "ratio of SGD steps"]
    columns = html.columns(["variant", "verdict"], numeric)
    columns.append(Column("reason", False))
    cells = [
        [
            *html.texts(row.variant, row.verdict.replace("_", " ")),
            *(html.whole(getattr(row, axis)) for axis in varied),
            html.seconds(row.first_s),
            html.seconds(row.second_s),
            html.numbers(row.ratio, row.ratio_low, row.ratio_high),
            html.numbers(row.sgd_steps_ratio),
            html.words(row.reason),
        ]
        for row in rows
    ]
    return Table("Every cell of both runs", columns, cells).without_empty()
