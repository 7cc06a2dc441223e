"""From a run directory to its tables and its page."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.comparison.history import NAME
from bench.files import write_whole
from reports import page, summary
from reports.history.series import HistorySection, section
from reports.large_runs import excerpt
from reports.preservation import error_tables, null_dimensions
from reports.profile import tables as profile_tables
from reports.run.run import Record, Run, load
from reports.runtime.crossings import crossings
from reports.runtime.ratios import ratios
from reports.runtime.roofline import roof_of, with_shares
from reports.runtime.schedule import cost_tables
from reports.tables import growth
from reports.tables import runtime as tables
from reports.text import csv_files


@dataclass(frozen=True)
class Tables:
    """The tables of a run, by the names of their files."""

    runtime: pd.DataFrame
    samples: pd.DataFrame
    preservation: pd.DataFrame
    spectrum: pd.DataFrame
    scaling: pd.DataFrame
    null_dimensions: pd.DataFrame
    ratios: pd.DataFrame
    crossings: pd.DataFrame
    profile: pd.DataFrame
    profile_phases: pd.DataFrame
    profile_operators: pd.DataFrame

    def named(self) -> dict[str, pd.DataFrame]:
        """The tables by name; those of profiles only where something was profiled."""
        found = vars(self)
        return {k: v for k, v in found.items() if len(v) or not k.startswith("profile")}


def write_report(run_dir: Path, history: Path | None = None) -> Path:
    """Write the CSV files and ``report.html`` of a run into its directory.

    Only ``journal.jsonl`` has to be there; what is missing besides is said on the page. Everything
    is computed before the first file is replaced, and every file is replaced in one move.

    Args:
        run_dir: the run directory.
        history: a file of gate results to show; left out, that of the directory, if it has one.

    Returns:
        The path of the page.

    Raises:
        bench.errors.JournalError: the journal is missing or damaged.
        bench.errors.StorageError: a file cannot be written; those from before are still there.
    """
    if history is None and (run_dir / NAME).exists():
        history = run_dir / NAME
    with _uncollected():
        run = load(run_dir)
        derived = derive(run)
        html = render(run, derived, section(history) if history else None)
        for name, table in derived.named().items():
            write_whole(run_dir / f"{name}.csv", csv_files.csv(table))
    target = run_dir / "report.html"
    write_whole(target, html)
    return target


def tables_of(run_dir: Path) -> dict[str, pd.DataFrame]:
    """The tables that ``write_report`` would write, by the names of their files.

    Raises:
        bench.errors.JournalError: the journal is missing or damaged.
    """
    with _uncollected():
        return derive(load(run_dir)).named()


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


def derive(run: Run) -> Tables:
    """All tables of a run."""
    base = growth.base_point(run.cells, run.spec)
    to_reference = ratios(run.cells)
    return Tables(
        runtime=with_shares(tables.runtime(run.cells, run.partners), run.environment),
        samples=tables.samples(run.cells),
        preservation=error_tables.preservation(run.preservation),
        spectrum=error_tables.spectrum(run.spectrum),
        scaling=growth.scaling(run.cells, base),
        null_dimensions=null_dimensions.null_dimensions(run.spectrum),
        ratios=to_reference,
        crossings=crossings(tables.records(to_reference), base),
        profile=profile_tables.profiles(run.profiles, roof_of(run.environment)),
        profile_phases=profile_tables.phases(run.profiles),
        profile_operators=profile_tables.operators(run.profiles),
    )


def render(run: Run, derived: Tables, history: HistorySection | None = None) -> str:
    """The page of a run; of a large one the part that matters (see ``reports.large_runs``)."""
    base = growth.base_point(run.cells, run.spec)
    part = excerpt(run, base)
    shown = part.run
    drawn = {cell["cell_id"] for cell in shown.cells}
    costs, cost_notes = cost_tables(shown.cells, shown.partners, shown.training, base)
    return page.render(
        page.Material(
            run=shown,
            base=base,
            runtime=tables.records(_rows(derived.runtime, drawn)),
            counts=summary.counts(derived.runtime, len(run.profiles)),
            cells=tables.records(_rows(derived.runtime, part.rows)),
            scaling=tables.records(_of_settings(derived.scaling, shown.cells)),
            ratios=tables.records(_rows(derived.ratios, drawn)),
            crossings=tables.records(_of_settings(derived.crossings, shown.cells)),
            costs=costs,
            cost_notes=cost_notes,
            files=[f"{name}.csv" for name in derived.named()],
            history=history,
        )
    )


def _rows(runtime: pd.DataFrame, cell_ids: set[str]) -> pd.DataFrame:
    return runtime[runtime["cell_id"].isin(cell_ids)]


def _of_settings(table: pd.DataFrame, cells: list[Record]) -> pd.DataFrame:
    """The rows of the variants that are drawn."""
    names = [*growth.Setting._fields, "variant"]
    drawn = {tuple(cell[name] for name in names) for cell in cells}
    return table[[place in drawn for place in zip(*(table[n] for n in names), strict=True)]]
