"""``teleport-bench report``: the derived files of a run directory."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[
        Path, typer.Argument(help="A run directory: holds journal.jsonl; or that of a gate.")
    ],
    history: Annotated[
        Path | None, typer.Option(help="A file of gate results to show, from 'gate --history'.")
    ] = None,
) -> None:
    """Write the CSV files and report.html of a run; prints the report's path."""
    from bench.cli.half import refuse_half
    from bench.storage.run_directory import RunDirectory
    from reports import write_report

    # Of a gate the side that its history is of.
    head = directory / "head"
    of_a_gate = (directory / "gate.json").exists() and RunDirectory(head).journal.exists()
    where = head if of_a_gate else directory
    written = write_report(where, history, tell=partial(typer.echo, err=True))
    typer.echo(str(written))
    refuse_half(RunDirectory(where))
