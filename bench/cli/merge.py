"""``teleport-bench merge``: the parts of a sharded run in one run directory."""

from pathlib import Path
from typing import Annotated

import typer


def merge(
    directories: Annotated[list[Path], typer.Argument(help="Run directories of the shards.")],
    out: Annotated[Path, typer.Option(help="Where to write; a new directory.")],
) -> None:
    """Join shards of one sweep and write their report; prints the report's path."""
    from bench.cli.command import command
    from bench.cli.half import refuse_half
    from bench.storage.merge import merge_runs

    run, cells = merge_runs(directories, out, command())
    parts = len({directory.resolve() for directory in directories})
    typer.echo(f"{cells} cells from {parts} {'part' if parts == 1 else 'parts'}", err=True)
    from reports import write_report

    typer.echo(str(write_report(run.path)))
    refuse_half(run)
