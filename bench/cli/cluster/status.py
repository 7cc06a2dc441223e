"""``teleport-bench status``: how far a run is, on a cluster or here."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from bench.slurm.ledger import Place
    from bench.slurm.parts import Parts
    from bench.slurm.queue import Queue

INCOMPLETE = 4


class _Row(NamedTuple):
    """A part of a run on a cluster."""

    part: str
    task: str
    state: str
    tries: str
    measured: str
    wrong: str


_HEADINGS = ("part", "task", "state", "tries", "measured", "what is wrong")
_MEASURED = "measured"


def status(
    directory: Annotated[Path, typer.Argument(help="A run directory.")],
) -> None:
    """Look on a run: what is measured, what runs on the cluster, what failed."""
    from bench.slurm.ledger import Place

    place = Place(directory)
    if place.exists:
        _of_cluster(place)
    else:
        _of_here(place)


def _of_here(place: "Place") -> None:
    from bench.plan.points import make_plan
    from bench.runner.session import summary_of
    from bench.storage.journal import read
    from bench.storage.run_directory import read_spec

    summary = summary_of(make_plan(read_spec(place.run)), read(place.run.journal))
    records = ", ".join(f"{n} {state}" for state, n in sorted(summary.statuses.items()))
    typer.echo(f"{records or 'nothing measured'}; {summary.left} units left")
    if not summary.complete:
        raise typer.Exit(INCOMPLETE)


def _of_cluster(place: "Place") -> None:
    from bench.cli.table import print_table
    from bench.slurm.parts import Parts
    from bench.slurm.queue import Queue
    from bench.slurm.scheduler import WAITING, Scheduler, SchedulerError, Tasks
    from bench.storage.run_directory import read_spec

    ledger = place.read()
    parts = Parts(read_spec(place.run), ledger.count)
    tasks: Tasks = {}
    try:
        tasks = Scheduler().tasks([each.name for each in ledger.submissions])
    except SchedulerError as error:
        typer.echo(f"what runs is not known: {error}", err=True)
    queue = Queue(ledger, tasks)
    rows = [_row(part, place, parts, queue) for part in parts.numbers]
    states = Counter(row.state for row in rows)
    typer.echo(f"{len(rows)} parts: {', '.join(f'{n} {s}' for s, n in states.most_common())}")
    shown = [row for row in rows if row.state not in {_MEASURED, *WAITING}]
    if shown:
        print_table(_HEADINGS, shown)
    if not queue.left and set(states) != {_MEASURED}:
        raise typer.Exit(INCOMPLETE)


def _row(part: int, place: "Place", parts: "Parts", queue: "Queue") -> _Row:
    found, runs = parts.look(part, place), queue.may_run(part)
    return _Row(
        part=f"{part}/{parts.count}",
        task=queue.name(part),
        state=_MEASURED if found.good and not runs else queue.state(part),
        tries=str(queue.ledger.tries(part)),
        measured=f"{found.units - found.lacking} of {found.units}",
        wrong="" if runs else found.words(),
    )
