"""From a spec to its journal and report: what every command that measures does with it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import progress
from bench.cli.command import repeatable
from bench.cli.stopping import stoppable
from bench.errors import RunError, SpecError
from bench.measurements.units import make_units
from bench.plan.describe import describe
from bench.plan.points import Plan, make_plan
from bench.plan.profiles import Detail
from bench.plan.shards import Shard, parse_shard, share
from bench.runner.runner import SILENCE_SECONDS, Runner, Summary
from bench.runner.session import Listener, carry_out
from bench.spec.checks import number
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.storage.run_directory import RunDirectory
from bench.times import duration
from bench.training.describe import describe_training

INCOMPLETE = 4

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
        self, spec: Spec, profile: Detail | None = None, show: Callable[[Path], object] = _nothing
    ) -> None:
        """Measure, write the report, ``show`` what is there, print its path; or print the plan."""
        part = parse_shard(self.shard)
        silence = number("timeout", self.timeout, above=0)
        runner = Runner(progress.choose(quiet=self.quiet), silence=silence)
        if self.dry_run:
            typer.echo(described(share(make_plan(spec), part)))
            _check_alone(runner, spec, part)
            return
        where = self.out or Path("runs") / f"{spec.preset}-{datetime.now():%Y%m%d-%H%M%S}"

        def hint() -> str:
            begun = RunDirectory(where).spec.exists()
            going_on = f"; what was measured is in {where}: add --out {where} --resume to go on"
            return going_on if begun else "; nothing was measured"

        def planned(plan: Plan) -> None:
            if not self.quiet:
                _say(described(plan))

        with stoppable(hint):
            summary = carry_out(
                spec,
                where,
                runner,
                command=repeatable(),
                part=part,
                resume=self.resume,
                profile=profile,
                listener=Listener(planned, _say),
            )
        from reports import write_report

        page = write_report(where)
        show(where)
        typer.echo(str(page))
        _explain(summary, RunDirectory(where))


def described(plan: Plan) -> str:
    """The plan in words, with what its measurements say of themselves."""
    settings, batches = plan.spec.sections.get("training"), plan.spec.base["b"]
    own = [] if settings is None else [describe_training(settings, batches)]
    return "\n".join([describe(plan), *own])


def _check_alone(runner: Runner, spec: Spec, part: Shard) -> None:
    """Say what would keep it from being run here; it may be planned for another machine."""
    plan = share(make_plan(spec.with_overrides(device="cpu")), part)
    units = make_units(plan, [], part)
    try:
        runner.check(spec, units)
        trained = [unit for unit in units if unit.kind]
        if trained and (seconds := runner.estimate(trained)) is not None:
            typer.echo(f"estimated time: about {duration(seconds)} here, from a few steps of each")
    except RunError as error:
        typer.echo(f"here it would be refused: {error}", err=True)
    finally:
        runner.close()


def _explain(summary: Summary, directory: RunDirectory) -> None:
    """Say on standard error what is not as planned; exit with the contract's code."""
    if summary.flagged:
        typer.echo(
            f"{summary.flagged} {'cell is' if summary.flagged == 1 else 'cells are'} flagged, for "
            "example because other processes used the machine: see the column flags, and measure "
            "again where a flag says that times mislead",
            err=True,
        )
    if summary.complete:
        return
    bad = ", ".join(f"{n} {s}" for s, n in sorted(summary.statuses.items()) if s != "ok")
    if bad:
        typer.echo(f"not every cell is fine: {bad}; the reasons are in the report", err=True)
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
