"""``run --on slurm.toml`` and ``train --on``: submit, look on, merge and report."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Annotated

import typer

from bench.cli.command import repeatable
from bench.cli.measuring.carried import Carrying, described, explain, flagged
from bench.cli.options import silent
from bench.cli.stopping import stoppable
from bench.errors import SpecError
from bench.plan.points import make_plan
from bench.plan.profiles import Detail
from bench.process.local import SOURCE_ROOT
from bench.runner.session import summary_of
from bench.slurm.campaign import Campaign, Orders
from bench.slurm.cluster import Cluster, read_cluster
from bench.slurm.collect import collect
from bench.slurm.directory import check, on_cluster, prepare
from bench.slurm.ledger import Place
from bench.slurm.parts import Parts, part_count
from bench.slurm.scheduler import Scheduler
from bench.slurm.script import Array, script
from bench.spec.checks import number
from bench.spec.spec import Spec
from bench.storage.journal import read
from bench.storage.lock import locked
from bench.storage.run_directory import read_spec

On = Annotated[
    Path | None,
    typer.Option(
        help="Submit to a SLURM cluster, an array of parts as this file says (slurm.toml), and "
        "look on; see 'status' and 'cancel'."
    ),
]

_LONGEST_PAUSE = 30.0


def carry_out_on(file: Path, spec: Spec, carrying: Carrying, profile: Detail | None = None) -> None:
    """Submit a spec, look on until its last task is over, merge, write the report, print its path.

    Raises:
        BenchError: what cannot be submitted, or nothing was measured.
    """
    _check_options(carrying, profile)
    cluster = read_cluster(file)
    spec = on_cluster(spec, cluster)
    silence = number("timeout", carrying.timeout, above=0)
    if carrying.dry_run:
        _show(cluster, spec, silence)
        return
    name = f"{spec.preset}-{datetime.now():%Y%m%d-%H%M%S}"
    place = Place((carrying.out or Path("runs") / name).resolve())
    say = silent if carrying.quiet else _say
    check(place, spec, resume=carrying.resume)
    with stoppable(lambda: _hint(place)), locked(place.folder):
        prepare(place, spec, cluster, repeatable(), resume=carrying.resume)
        orders = Orders(cluster, SOURCE_ROOT, silence)
        campaign = Campaign(place, spec, orders, Scheduler(), say)
        campaign.begin()
        _watch(campaign, say)
        collect(place, spec, repeatable())
    _report(place, quiet=carrying.quiet)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _check_options(carrying: Carrying, profile: Detail | None) -> None:
    if carrying.workers is not None:
        raise SpecError(
            "expected --on without --workers: the cluster says how many tasks run at a time; leave "
            "--workers out"
        )
    if carrying.shard != "1/1":
        raise SpecError(
            "expected --on without --shard: the array is made of all parts; leave --shard out"
        )
    if profile is not None:
        raise SpecError(
            "expected --on without --profile; write teleport-bench profile in a job of its own"
        )


def _show(cluster: Cluster, spec: Spec, silence: float) -> None:
    """The plan and the script that would be submitted."""
    count = part_count(spec, cluster.tasks)
    order = Parts(spec, count).longest_first()
    array = Array("teleport-bench", order, count, Path("DIR"), silence)
    typer.echo(described(make_plan(spec)))
    typer.echo(script(cluster, array, SOURCE_ROOT, cluster.parallel))


def _hint(place: Place) -> str:
    if not place.exists or not place.read().submissions:
        return "; nothing was submitted"
    where = place.run.path
    return (
        f"; what was submitted goes on: 'teleport-bench status {where}' looks on, 'teleport-bench "
        f"cancel {where}' ends it, --resume --out {where} takes it up to its report"
    )


def _watch(campaign: Campaign, say: Callable[[str], object]) -> None:
    """Ask often at first and ever less; a cluster has other users."""
    began, shown = monotonic(), ""
    while not campaign.step():
        if (now := ", ".join(f"{n} {what}" for what, n in campaign.counts().items())) != shown:
            say(f"parts: {now}")
            shown = now
        sleep(min(_LONGEST_PAUSE, 0.5 + (monotonic() - began) / 20))


def _report(place: Place, *, quiet: bool) -> None:
    from reports import write_report

    typer.echo(str(write_report(place.run.path)))
    records = read(place.run.journal)
    summary = summary_of(make_plan(read_spec(place.run)), records)
    if summary.flagged and not quiet:
        _say(flagged(summary.flagged))
    explain(summary, place.run)
