"""``teleport-bench cancel``: no task of a run is left on the cluster, and none is queued again."""

from pathlib import Path
from typing import Annotated

import typer


def cancel(
    directory: Annotated[Path, typer.Argument(help="The --out of 'run --on slurm.toml'.")],
) -> None:
    """End what a run has on the cluster; what was measured stays."""
    from bench.slurm.ledger import Place
    from bench.slurm.scheduler import Scheduler

    place = Place(directory)
    names = [submission.name for submission in place.read().submissions]
    # Whoever looks on must not queue again what is cancelled now.
    place.cancelled.touch()
    Scheduler().cancel(names)
    typer.echo(
        f"cancelled; run --on slurm.toml --resume --out {directory} measures what is missing",
        err=True,
    )
