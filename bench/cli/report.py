"""``teleport-bench report``: the derived files of a run directory."""

from pathlib import Path
from typing import Annotated

import typer

from bench.storage.journal import load
from bench.storage.run_directory import RunDirectory


def report(
    directory: Annotated[Path, typer.Argument(help="A run directory: holds journal.jsonl.")],
    history: Annotated[
        Path | None, typer.Option(help="A file of gate results to show, from 'gate --history'.")
    ] = None,
) -> None:
    """Write the CSV files and report.html of a run; prints the report's path."""
    _, notes = load(RunDirectory(directory).journal)
    for note in notes:
        typer.echo(note, err=True)
    from reports import write_report

    typer.echo(str(write_report(directory, history)))
