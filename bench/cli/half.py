"""Whether a run directory holds all of its sweep; ``report`` and ``merge`` end alike on half."""

import typer

from bench.cli.measuring.carried import INCOMPLETE
from bench.errors import BenchError
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.storage.journal import read
from bench.storage.records import ProfileRecord, cells_of
from bench.storage.run_directory import RunDirectory, read_spec


def refuse_half(run: RunDirectory) -> None:
    """Say what is missing and exit with the contract's code; nothing where all is there."""
    left = _left(run)
    if left:
        typer.echo(
            f"incomplete: {left} points or measurements of the sweep are not in {run.path}; "
            "merge it with the parts that have them, or add them with run --resume --out "
            f"{run.path}",
            err=True,
        )
        raise typer.Exit(INCOMPLETE)


def _left(run: RunDirectory) -> int:
    """How many units of its spec a run lacks; none where that is no sweep or not known."""
    try:
        spec = read_spec(run)
    except BenchError:  # the page says so
        return 0
    records = read(run.journal)
    of_a_gate = any(cell.looks for cell in cells_of(records))
    only_profiled = bool(records) and all(isinstance(each, ProfileRecord) for each in records)
    return 0 if of_a_gate or only_profiled else len(make_units(make_plan(spec), records))
