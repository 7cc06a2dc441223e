"""From a spec to its journal and report: what every command that measures does with it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import progress
from bench.cli.measuring.fitting import Fit, fitted
from bench.cli.measuring.ways import Alone, Together
from bench.cli.options import silent
from bench.cli.stopping import stoppable
from bench.errors import BenchError, RunError, SpecError
from bench.measurements.networks import describe_networks
from bench.parallel.begin import Workers
from bench.parallel.devices import parse_workers
from bench.plan.describe import describe
from bench.plan.points import Plan, make_plan
from bench.plan.profiles import Detail
from bench.plan.shards import Shard, parse_shard, share
from bench.runner.runner import SILENCE_SECONDS, Runner, Summary
from bench.runner.session import Listener
from bench.slurm.ledger import Place
from bench.spec.checks import number
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.storage.journal import read
from bench.storage.run_directory import RunDirectory
from bench.training.describe import describe_training

INCOMPLETE = 4

_MOST_REASONS = 3

_say = partial(typer.echo, err=True)

Resume = Annotated[
    bool, typer.Option("--resume", help="Measure only what the journal in --out lacks.")
]
Budget = Annotated[
    float | None,
    typer.Option(help="Begin nothing new after so many seconds; the exit code is then 4."),
]
Timeout = Annotated[
    float,
    typer.Option(
        help="Kill a worker that gives no sign of life, a sample or a note, for so many seconds."
    ),
]
ShardOption = Annotated[
    str, typer.Option(help="Run part I of N, such as 1/4; 'merge' joins the parts.")
]
WorkersOption = Annotated[
    str | None,
    typer.Option(
        "--workers",
        help="So many at a time, each on its own GPU or cores; auto takes all. Runners that name "
        "one --out share the work.",
    ),
]
SILENCE = SILENCE_SECONDS


def _nothing(_where: Path) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Carrying:
    """What a command line says of how a spec is carried out."""

    out: Path | None
    resume: bool
    dry_run: bool
    timeout: float
    shard: str
    quiet: bool
    workers: str | None = None

    def start(self, preset: str | None, default: str) -> Spec:
        """The spec to begin with: the run's own where one is taken up again.

        Raises:
            SpecError: there is none.
        """
        if self.resume and (self.out is None or not RunDirectory(self.out).spec.exists()):
            found = "got none" if self.out is None else f"{self.out} holds none"
            raise SpecError(
                f"expected --out with --resume to name a run; {found}: name that to go on"
            )
        if self.resume and self.out is not None and preset is None:
            return load_preset(str(RunDirectory(self.out).spec))
        return load_preset(preset or default)

    def carry_out(
        self,
        spec: Spec,
        profile: Detail | None = None,
        show: Callable[[Path], object] = _nothing,
    ) -> None:
        """Measure, write the report, ``show`` what is there, print its path; or print the plan."""
        if self.out is not None and Place(self.out).exists:
            raise RunError(
                f"expected --on to go on with a run that was submitted; {self.out} is one: add "
                "--on slurm.toml, or merge what is in its parts into another directory"
            )
        part = parse_shard(self.shard)
        silence = number("timeout", self.timeout, above=0)
        where = self.out or Path("runs") / f"{spec.preset}-{datetime.now():%Y%m%d-%H%M%S}"
        how = self._how(spec, where, part, profile, silence)
        if self.dry_run:
            typer.echo(described(share(make_plan(spec), part)))
            self._rehearse(how)
            return

        def hint() -> str:
            begun = RunDirectory(where).spec.exists()
            going_on = f"; what was measured is in {where}: add --out {where} --resume to go on"
            return going_on if begun else "; nothing was measured"

        def planned(plan: Plan) -> None:
            if not self.quiet:
                _say(described(plan))

        with stoppable(hint):
            summary = how.carry_out(Listener(planned, silent if self.quiet else _say))
        from reports import write_report

        page = write_report(where)
        if not self.quiet:
            show(where)
        typer.echo(str(page))
        if summary.flagged and not self.quiet:
            _say(flagged(summary.flagged))
        explain(summary, RunDirectory(where))

    def fitted(self, spec: Spec, fit: Fit) -> Spec:
        """The spec with what its model can take; a model of the user's is asked, in a worker."""
        silence = number("timeout", self.timeout, above=0)
        runner = Runner(progress.choose(quiet=self.quiet), silence=silence)
        try:
            with stoppable():
                return fitted(spec, fit, runner.ask, silent if self.quiet else _say)
        finally:
            runner.abort()

    def _how(
        self, spec: Spec, where: Path, part: Shard, profile: Detail | None, silence: float
    ) -> Alone | Together:
        shown = progress.choose(quiet=self.quiet)
        if self.workers is None:
            runner = Runner(shown, silence=silence)
            return Alone(spec, where, part, profile, runner, resume=self.resume)
        workers = Workers(parse_workers(self.workers), silence=silence)
        return Together(spec, where, part, profile, workers, shown)

    def _rehearse(self, how: Alone | Together) -> None:
        """Say how long training would take here.

        Raises:
            RunError: what would keep it from being run.
        """
        try:
            for line in how.rehearse():
                typer.echo(line)
        except BenchError as error:
            raise RunError(f"here it would be refused: {error}") from error


def described(plan: Plan) -> str:
    """The plan in words, with what its measurements say of themselves."""
    settings, batches = plan.spec.sections.get("training"), plan.spec.base["b"]
    own = [] if settings is None else [describe_training(settings, batches)]
    if (networks := plan.spec.sections.get("networks")) is not None:
        own.append(describe_networks(networks))
    return "\n".join([describe(plan), *own])


def flagged(count: int) -> str:
    """What a user is told of cells that are flagged."""
    return (
        f"{count} {'cell is' if count == 1 else 'cells are'} flagged, for example because other "
        "processes used the machine: see the column flags, and measure again where a flag says "
        "that times mislead"
    )


def _reasons(directory: RunDirectory) -> list[str]:
    """The first few of those that differ."""
    known = read(directory.journal) if directory.journal.exists() else []
    failed = [record for record in known if record.status != "ok"]
    reasons = dict.fromkeys(f"{record.status}: {record.reason}" for record in failed)
    return list(reasons)[:_MOST_REASONS]


def explain(summary: Summary, directory: RunDirectory) -> None:
    """Say on standard error what went wrong; exit with the contract's code."""
    if summary.complete:
        return
    bad = ", ".join(f"{n} {s}" for s, n in sorted(summary.statuses.items()) if s != "ok")
    if bad:
        typer.echo(f"not every cell is fine: {bad}; the reasons are in the report", err=True)
        for reason in _reasons(directory):
            typer.echo(f"  {reason}", err=True)
    if summary.failed_before:
        typer.echo(
            f"{summary.failed_before} failed before and are not measured again; to try once more, "
            f"take their lines out of {directory.journal} and resume",
            err=True,
        )
    if summary.left:
        typer.echo(
            f"the budget is spent with {summary.left} units left; "
            f"add --out {directory.path} --resume to go on",
            err=True,
        )
    raise typer.Exit(INCOMPLETE)
