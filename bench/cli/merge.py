"""``teleport-bench merge``: the parts of a sharded run in one run directory."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer


def merge(
    directories: Annotated[list[Path], typer.Argument(help="Run directories of the shards.")],
    out: Annotated[Path, typer.Option(help="Where to write; a new directory.")],
) -> None:
    """Join shards of one sweep and write their report; prints the report's path."""
    from bench.merge import merge_runs

    command = shlex.join(["teleport-bench", *sys.argv[1:]])
    run, cells = merge_runs(directories, out, command)
    typer.echo(f"{cells} cells from {len(directories)} parts", err=True)
    from reports import write_report

    typer.echo(str(write_report(run.path)))
