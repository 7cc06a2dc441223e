"""``teleport-bench run``: from a command line to a journal and its report."""

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.axes import parse_axis
from bench.cli import progress
from bench.cli.stopping import stoppable
from bench.errors import SpecError
from bench.journal import Journal, load
from bench.lock import locked
from bench.plan import Plan, describe, make_plan
from bench.preset import load_preset
from bench.profiling.record import Detail
from bench.profiling.units import base_blocks, profile_units
from bench.require import number
from bench.rundir import RunDirectory, check_environment, open_run, write_environment
from bench.runner import SILENCE_SECONDS, Runner, Summary
from bench.shards import Shard, parse_shard, share
from bench.spec import Spec
from bench.units import make_units
from bench.variants import parse_variant

INCOMPLETE = 4

_HELP = {
    "preset": "What to start from: smoke, quick or paper.",
    "axis": "Sweep a letter: d=64,128,256 or d=64:4096:x2 or t=1:9:+2; replaces all axes.",
    "method": "What to time: nullspace, symmetry:published=true, ...; replaces all methods.",
    "model": "mlp, or a function of yours: pkg.module:factory or path/to/file.py:factory.",
    "dataset": "digits, mnist, fashion-mnist (see 'data list').",
    "data_dir": "Where to look for data first.",
    "device": "auto, cpu, cuda or cuda:N.",
    "dtype": "float32, float64 or bfloat16.",
    "out": "Where to write; a new directory under runs/ if left out.",
    "resume": "Measure only what the journal in --out lacks.",
    "dry_run": "Print the plan and stop.",
    "budget": "Begin nothing new after so many seconds; the exit code is then 4.",
    "timeout": "Kill a worker that gives no sign of life, a sample or a note, for so many seconds.",
    "shard": "Run part I of N, such as 1/4; 'merge' joins the parts.",
    "threads": "CPU threads; torch's choice if left out.",
    "seed": "Root of all seeds.",
    "bias": "Give the layers biases.",
    "profile": "Profile the base point, too: phases in the report, traces beside it.",
    "quiet": "Print nothing but the path of the report.",
}


def _option(name: str, *flags: str) -> typer.models.OptionInfo:
    return typer.Option(*flags, help=_HELP[name])  # type: ignore[no-any-return]


def run(
    preset: Annotated[str, _option("preset")] = "quick",
    axis: Annotated[list[str] | None, _option("axis")] = None,
    method: Annotated[list[str] | None, _option("method")] = None,
    model: Annotated[str | None, _option("model")] = None,
    dataset: Annotated[str | None, _option("dataset")] = None,
    data_dir: Annotated[Path | None, _option("data_dir")] = None,
    device: Annotated[str | None, _option("device")] = None,
    dtype: Annotated[str | None, _option("dtype")] = None,
    out: Annotated[Path | None, _option("out")] = None,
    resume: Annotated[bool, _option("resume", "--resume")] = False,
    dry_run: Annotated[bool, _option("dry_run", "--dry-run")] = False,
    budget: Annotated[float | None, _option("budget")] = None,
    timeout: Annotated[float, _option("timeout")] = SILENCE_SECONDS,
    shard: Annotated[str | None, _option("shard", "--shard")] = None,
    threads: Annotated[int | None, _option("threads")] = None,
    seed: Annotated[int | None, _option("seed")] = None,
    bias: Annotated[bool | None, _option("bias", "--bias/--no-bias")] = None,
    profile: Annotated[bool, _option("profile", "--profile")] = False,
    quiet: Annotated[bool, _option("quiet", "--quiet")] = False,
) -> None:
    """Run a sweep and write its report; prints the report's path."""
    spec = load_preset(preset).with_overrides(
        axes=tuple(parse_axis(text) for text in axis or ()),
        variants=tuple(parse_variant(text) for text in method or ()),
        model=model,
        dataset=dataset,
        data_dir=None if data_dir is None else str(data_dir),
        device=device,
        dtype=dtype,
        budget=budget,
        threads=threads,
        seed=seed,
        bias=bias,
    )
    where = out or Path("runs") / f"{preset}-{datetime.now():%Y%m%d-%H%M%S}"
    if resume and out is None:
        raise SpecError("expected --out with --resume; got none: name the run to continue")
    part = parse_shard(shard or "1/1")
    if dry_run:
        typer.echo(describe(share(make_plan(spec), part)))
        return
    runner = Runner(progress.choose(quiet=quiet), silence=number("timeout", timeout, above=0))
    with stoppable():
        summary, directory = _carry_out(
            runner, spec, where, part, resume=resume, quiet=quiet, profile=profile
        )
    from reports import write_report

    typer.echo(str(write_report(directory.path)))
    _explain(summary, directory)


def _carry_out(
    runner: Runner,
    spec: Spec,
    where: Path,
    part: Shard,
    *,
    resume: bool,
    quiet: bool,
    profile: bool,
) -> tuple[Summary, RunDirectory]:
    """Measure everything of a spec that its run directory does not hold yet."""
    try:
        device, environment = runner.environment(spec.device, spec.threads)
        spec = spec.with_overrides(device=device)
        plan = share(make_plan(spec), part)
        if not quiet:
            typer.echo(describe(plan), err=True)
        if not resume:
            runner.check(make_units(plan, [], part))
        with locked(where) as note:
            directory = open_run(where, spec, _command(), resume=resume)
            summary = _measure(runner, plan, part, directory, environment, note, profile=profile)
    except BaseException:
        runner.abort()
        raise
    runner.close()
    return summary, directory


def _measure(
    runner: Runner,
    plan: Plan,
    part: Shard,
    directory: RunDirectory,
    environment: dict[str, Any],
    note: str | None,
    *,
    profile: bool,
) -> Summary:
    """Carry out what the journal lacks; its directory is locked."""
    records, notes = load(directory.journal) if directory.journal.exists() else ([], [])
    for text in filter(None, [note, *notes]):
        typer.echo(text, err=True)
    check_environment(directory, environment, measured=bool(records))
    write_environment(directory, environment | runner.roofline(plan.spec))
    with Journal(directory.journal) as journal:
        units = make_units(plan, records, part)
        if profile and part.index == 1:
            base = base_blocks(make_plan(plan.spec))
            units += profile_units(plan, base, directory.path, Detail(), records)
        return runner.run(units, journal, plan.spec.budget)


def _command() -> str:
    """The command line that repeats this run, wherever its results go."""
    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if word == "--out":
            next(words, None)
        elif word != "--resume" and not word.startswith("--out="):
            kept.append(word)
    return shlex.join(["teleport-bench", *kept])


def _explain(summary: Summary, directory: RunDirectory) -> None:
    """Say on standard error what is not as planned; exit with the contract's code."""
    if summary.flagged:
        typer.echo(
            f"{summary.flagged} cells are flagged, for example because other processes used the "
            "machine: see the column flags, and measure again where a flag says that times mislead",
            err=True,
        )
    if summary.complete:
        return
    bad = ", ".join(f"{n} {s}" for s, n in sorted(summary.statuses.items()) if s != "ok")
    if bad:
        typer.echo(f"not every cell is fine: {bad}; the reasons are in the report", err=True)
    if summary.left:
        typer.echo(
            f"the budget is spent with {summary.left} units left; "
            f"add --out {directory.path} --resume to go on",
            err=True,
        )
    raise typer.Exit(INCOMPLETE)
