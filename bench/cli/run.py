"""``teleport-bench run``: from a command line to a journal and its report."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options, progress
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

INCOMPLETE = 4

_say = partial(typer.echo, err=True)

Preset = Annotated[str, typer.Option(help="Start: smoke, quick, paper, spectrum or cuda.")]
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
Profile = Annotated[
    bool,
    typer.Option(
        "--profile", help="Profile the base point, too: phases in the report, traces beside it."
    ),
]


def run(
    preset: Preset = "quick",
    axis: options.Axes = None,
    method: options.Methods = None,
    model: options.Model = None,
    dataset: options.Dataset = None,
    data_dir: options.DataDir = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    out: options.Out = None,
    resume: Resume = False,
    dry_run: options.DryRun = False,
    budget: Budget = None,
    timeout: Timeout = SILENCE_SECONDS,
    shard: ShardOption = "1/1",
    threads: options.Threads = None,
    seed: options.Seed = None,
    bias: options.Bias = None,
    profile: Profile = False,
    quiet: options.Quiet = False,
) -> None:
    """Run a sweep and write its report; prints the report's path."""
    what = {"model": model, "dataset": dataset, "device": device, "dtype": dtype}
    how = {"budget": budget, "threads": threads, "seed": seed, "bias": bias}
    spec = options.spec_of(load_preset(preset), axis, method, data_dir, **what, **how)
    where = out or Path("runs") / f"{Path(preset).stem}-{datetime.now():%Y%m%d-%H%M%S}"
    if resume and (out is None or not RunDirectory(where).spec.exists()):
        found = "got none" if out is None else f"{out} holds none"
        raise SpecError(f"expected --out with --resume to name a run; {found}: name that to go on")
    part = parse_shard(shard)
    runner = Runner(progress.choose(quiet=quiet), silence=number("timeout", timeout, above=0))
    if dry_run:
        typer.echo(describe(share(make_plan(spec), part)))
        _check_alone(runner, spec, part)
        return

    def hint() -> str:
        begun = RunDirectory(where).spec.exists()
        going_on = f"; what was measured is in {where}: add --out {where} --resume to go on"
        return going_on if begun else "; nothing was measured"

    def planned(plan: Plan) -> None:
        if not quiet:
            _say(describe(plan))

    with stoppable(hint):
        summary = carry_out(
            spec,
            where,
            runner,
            command=repeatable(),
            part=part,
            resume=resume,
            profile=Detail() if profile else None,
            listener=Listener(planned, _say),
        )
    from reports import write_report

    typer.echo(str(write_report(where)))
    _explain(summary, RunDirectory(where))


def _check_alone(runner: Runner, spec: Spec, part: Shard) -> None:
    """Say what would keep it from being run here; it may be planned for another machine."""
    plan = share(make_plan(spec.with_overrides(device="cpu")), part)
    try:
        runner.check(spec, make_units(plan, [], part))
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
