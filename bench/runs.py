"""A run as Python sees it: carry out a spec, or read a run that is over."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import SpecError
from bench.plan.points import make_plan
from bench.runner.progress import QuietProgress
from bench.runner.runner import Runner, Summary
from bench.runner.session import carry_out, summary_of
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.storage.journal import read
from bench.storage.run_directory import RunDirectory, read_spec
from reports import tables_of, write_report


@dataclass(frozen=True, repr=False)
class Run:
    """A run directory; what it holds is read when it is first asked for."""

    directory: Path

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of the report, "runtime", "samples" and so on, as their CSV files have them.

        Raises:
            JournalError: the journal is missing or damaged.
        """
        return tables_of(self.directory)

    @cached_property
    def summary(self) -> Summary:
        """How many records ended in which status, and what of the sweep is still to be measured.

        Raises:
            JournalError: journal or spec.toml is missing or damaged.
        """
        run = RunDirectory(self.directory)
        return summary_of(make_plan(read_spec(run)), read(run.journal))

    def to_dict(self) -> dict[str, Any]:
        """Directory, summary and the rows of every table, as JSON has them.

        Raises:
            JournalError: journal or spec.toml is missing or damaged.
        """
        tables = {name: table.to_json(orient="records") for name, table in self.tables.items()}
        return {
            "directory": str(self.directory),
            "summary": {**vars(self.summary), "statuses": dict(self.summary.statuses)},
            "tables": {name: json.loads(rows) for name, rows in tables.items()},
        }

    def __repr__(self) -> str:
        return f"Run({str(self.directory)!r})"

    def report(self) -> Path:
        """Write the CSV files and ``report.html`` beside the journal; the path of the page.

        Raises:
            JournalError: the journal is missing or damaged.
            StorageError: a file cannot be written.
        """
        return write_report(self.directory)


def run(spec: Spec | str | Path, out: str | Path | None = None, *, resume: bool = False) -> Run:
    """Measure everything of a spec that its run directory does not hold yet.

    Every finished cell is in the journal at once, so that after any error or interrupt the same
    call with ``resume=True`` measures only what is missing.

    Args:
        spec: what to measure; a preset's name, or a TOML file such as a run's spec.toml, will do.
        out: the run directory; a new one under runs/ if left out.
        resume: go on with the run in ``out``.

    Raises:
        SpecError: a spec that cannot be run, or nothing to resume.
        RunError: no worker starts, the spec cannot be run here, or ``out`` cannot be written, is
            in use, or holds a run and ``resume`` is off.
        JournalError: the run in ``out`` is damaged, of another spec or from another machine.
    """
    known = spec if isinstance(spec, Spec) else load_preset(str(spec))
    directory = Path(out or Path("runs") / f"{known.preset}-{datetime.now():%Y%m%d-%H%M%S}")
    if resume and not RunDirectory(directory).spec.exists():
        raise SpecError(
            f"expected out to name a run with resume=True; {directory} holds none: name the run "
            "to go on with"
        )
    carry_out(
        known,
        directory,
        Runner(QuietProgress()),
        command="teleport-bench run --preset spec.toml",
        resume=resume,
    )
    return Run(directory)


def load(path: str | Path) -> Run:
    """A run that was made before, here or elsewhere.

    Raises:
        JournalError: no journal at ``path``, or a damaged one.
    """
    read(RunDirectory(Path(path)).journal)
    return Run(Path(path))
