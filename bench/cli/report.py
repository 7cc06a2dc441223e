"""``teleport-bench report``: the derived files of a run directory."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import SpecError


def report(
    directory: Annotated[
        Path,
        typer.Argument(help="A run directory: holds journal.jsonl; or that of a gate, or a store."),
    ],
    other: Annotated[
        Path | None,
        typer.Argument(help="A second run: both side by side, in its comparison.html."),
    ] = None,
    history: Annotated[
        Path | None,
        typer.Option(help="Gate results to show: a file of 'gate --history', or a store."),
    ] = None,
    figures: Annotated[
        str | None,
        typer.Option(help="Every panel as a file under figures/, too: svg, pdf, png."),
    ] = None,
) -> None:
    """Write the CSV files and report.html of a run, or compare two; prints the page's path."""
    from bench.cli.half import refuse_half
    from bench.gate.store import Store
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
    where = _run_in(directory)
    results = Store(history).history if history is not None and history.is_dir() else history
    written = write_report(where, results, tell=partial(typer.echo, err=True), figures=kinds)
    typer.echo(str(written))
    refuse_half(RunDirectory(where))


def _run_in(directory: Path) -> Path:
    """The run that a directory stands for: a gate's head, the last in a store."""
    from bench.gate.store import Store
    from bench.storage.run_directory import RunDirectory

    head = directory / "head"
    if (directory / "gate.json").exists() and RunDirectory(head).journal.exists():
        return head
    newest = None if RunDirectory(directory).journal.exists() else Store(directory).newest()
    return newest or directory
