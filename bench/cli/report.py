"""``teleport-bench report``: the derived files of a run directory."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import SpecError


def report(
    directory: Annotated[
        Path, typer.Argument(help="A run directory: holds journal.jsonl; or that of a gate.")
    ],
    other: Annotated[
        Path | None,
        typer.Argument(help="A second run: both side by side, in its comparison.html."),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="A file of gate results to show, from 'gate --history'.")
    ] = None,
    figures: Annotated[
        str | None,
        typer.Option(help="Every panel as a file under figures/, too: svg, pdf, png."),
    ] = None,
) -> None:
    """Write the CSV files and report.html of a run, or compare two; prints the page's path."""
    from bench.cli.half import refuse_half
    from bench.storage.run_directory import RunDirectory
    from reports import write_comparison, write_report
    from reports.export import formats

    if other is not None:
        if history is not None or figures is not None:
            raise SpecError(
                "expected --history and --figures with one run; got two: leave the options out, or "
                "the second directory"
            )
        typer.echo(str(write_comparison(directory, other)))
        return
    kinds = formats(figures) if figures is not None else []
    # Of a gate the side that its history is of.
    head = directory / "head"
    of_a_gate = (directory / "gate.json").exists() and RunDirectory(head).journal.exists()
    where = head if of_a_gate else directory
    written = write_report(where, history, tell=partial(typer.echo, err=True), figures=kinds)
    typer.echo(str(written))
    refuse_half(RunDirectory(where))
