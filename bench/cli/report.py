"""``teleport-bench report``: the derived files of a run directory."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def report(
    directory: Annotated[
        Path,
        typer.Argument(help="A run directory: holds journal.jsonl; or that of a gate, or a store."),
    ],
    history: Annotated[
        Path | None,
        typer.Option(help="Gate results to show: a file of 'gate --history', or a store."),
    ] = None,
) -> None:
    """Write the CSV files and report.html of a run; prints the report's path."""
    from bench.cli.half import refuse_half
    from bench.gate.store import Store
    from bench.storage.run_directory import RunDirectory
    from reports import write_report

    where = _run_in(directory)
    results = Store(history).history if history is not None and history.is_dir() else history
    written = write_report(where, results, tell=partial(typer.echo, err=True))
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
