"""From a run directory to its tables and its page."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from bench.comparison.history import NAME
from bench.errors import RegistrationError
from bench.files import write_whole
from reports import page
from reports.export import write_figures
from reports.large_runs import excerpt
from reports.run.run import load
from reports.sections import summary
from reports.sections.registered import sections
from reports.sections.section import Section, Shown
from reports.tables.analysis import Analysis, analysed
from reports.text import csv_files
from reports.training import trials


def write_report(
    run_dir: Path,
    history: Path | None = None,
    tell: Callable[[str], None] | None = None,
    figures: Sequence[str] = (),
) -> Path:
    """Write the CSV files and ``report.html`` of a run into its directory.

    Only ``journal.jsonl`` has to be there; what is missing besides is said on the page. Everything
    is computed before the first file is replaced, and every file is replaced in one move. Answers
    the path of the page. ``history``, a file of gate results, is by default the directory's own.
    ``tell`` hears first what of the journal is left out. ``figures`` are formats, "svg", "pdf" or
    "png", in which every panel becomes a file under ``figures/``, too.

    Raises:
        bench.errors.JournalError: the journal is missing or damaged.
        bench.errors.StorageError: a file cannot be written; those from before are still there.
        bench.errors.RegistrationError: a section of another package cannot be used.
    """
    if history is None and (run_dir / NAME).exists():
        history = run_dir / NAME
    with _uncollected():
        run = load(run_dir)
        if tell:
            for note in run.left_out:
                tell(note)
        found, known = analysed(run), sections()
        derived = _tables(found, known)
        drawn: page.Figures = {}
        html = _page(found, known, [f"{name}.csv" for name in derived], history, drawn)
        for name, table in derived.items():
            write_whole(run_dir / f"{name}.csv", csv_files.csv(table))
        if figures:
            write_figures(run_dir, drawn, figures)
    target = run_dir / "report.html"
    write_whole(target, html)
    return target


def tables_of(run_dir: Path) -> dict[str, pd.DataFrame]:
    """The tables that ``write_report`` would write, by the names of their files.

    Raises:
        bench.errors.JournalError: the journal is missing or damaged.
        bench.errors.RegistrationError: a section of another package cannot be used.
    """
    with _uncollected():
        return _tables(analysed(load(run_dir)), sections())


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would walk through millions of records in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _tables(found: Analysis, known: Sequence[Section]) -> dict[str, pd.DataFrame]:
    every: dict[str, pd.DataFrame] = {}
    for section in known:
        for name, table in section.tables(found).items():
            if name in every:
                raise RegistrationError(
                    f"expected one section to write {name}.csv; {section.name} is the second: "
                    "give its table another name"
                )
            every[name] = table
    return every


def _page(
    found: Analysis,
    known: Sequence[Section],
    files: Sequence[str],
    history: Path | None,
    drawn: page.Figures,
) -> str:
    """The page of a run; of a large one the part that matters (see ``reports.large_runs``)."""
    part = excerpt(found)
    shown = Shown(part.analysis, _counts(found), part.listed, files, history, found)
    return page.render(shown, known, drawn)


def _counts(found: Analysis) -> str:
    """A sentence on all cells, on all trials, or on both."""
    cells = summary.counts(found.cells, len(found.run.profiles))
    if found.training is None:
        return cells
    trained = trials.counts(found.training.experiment)
    return f"{trained} {cells}" if found.cells or found.run.profiles else trained
