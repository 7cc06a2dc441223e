"""``teleport-bench report``: the derived files of a run directory."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[Path, typer.Argument(help="A run directory: holds journal.jsonl.")],
    history: Annotated[
        Path | None, typer.Option(help="A file of gate results to show, from 'gate --history'.")
    ] = None,
) -> None:
    """Write the CSV files and report.html of a run; prints the report's path."""
    from reports import write_report

    written = write_report(directory, history, tell=partial(typer.echo, err=True))
    typer.echo(str(written))
