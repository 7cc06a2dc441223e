"""``teleport-bench profile``: where the time of a few cells goes; traces, phases and a report."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options, progress
from bench.cli.command import repeatable
from bench.cli.measuring.carried import INCOMPLETE
from bench.cli.measuring.fitting import Fit, fitted
from bench.cli.stopping import stoppable
from bench.cli.table import print_table
from bench.errors import SpecError
from bench.plan.describe import notes_on_options
from bench.plan.profiles import LEAST_ACTIVE, Detail
from bench.runner.runner import Runner
from bench.runner.session import carry_out_profiles
from bench.spec.preset import load_preset
from bench.storage.journal import read
from bench.storage.records import ProfileRecord
from bench.storage.run_directory import RunDirectory


def profile(
    preset: Annotated[
        str, typer.Option(help="Whose base point to profile: smoke, quick or paper.")
    ] = "quick",
    axis: Annotated[
        list[str] | None,
        typer.Option(help="A letter's level, d=1024, or several; else the preset's base point."),
    ] = None,
    method: Annotated[list[str] | None, typer.Option(help="What to profile; sgd is added.")] = None,
    model: options.Model = None,
    dataset: options.Dataset = None,
    data_dir: options.DataDir = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    out: options.Out = None,
    threads: options.Threads = None,
    seed: options.Seed = None,
    bias: options.Bias = None,
    shapes: Annotated[bool, typer.Option(help="Record the shapes of inputs.")] = True,
    memory: Annotated[bool, typer.Option(help="Record every allocation.")] = True,
    stacks: Annotated[bool, typer.Option(help="Record Python stacks; large and slow.")] = False,
    active: Annotated[
        int, typer.Option(min=LEAST_ACTIVE, help="Calls in each trace.")
    ] = LEAST_ACTIVE,
    quiet: options.Quiet = False,
) -> None:
    """Profile a few cells; prints their phases and the report's path."""
    what = {"model": model, "dataset": dataset, "device": device, "dtype": dtype}
    how = {"threads": threads, "seed": seed, "bias": bias}
    start = replace(load_preset(preset), axes=())
    spec = options.spec_of(start, axis, method, data_dir, **what, **how)
    spec = spec.with_overrides(preservation=replace(spec.preservation, enabled=False))
    if not spec.variants:
        raise SpecError(
            f"expected a preset that times methods; {spec.preset} times none, so that there is "
            "nothing to profile: write for example --preset quick"
        )
    if not quiet:
        for note in notes_on_options(spec):
            typer.echo(note, err=True)
    where = out or Path("runs") / f"profile-{datetime.now():%Y%m%d-%H%M%S}"
    detail = Detail(shapes, memory, stacks, active)
    runner = Runner(progress.choose(quiet=quiet))
    with stoppable():
        try:
            spec = fitted(spec, Fit(axes=False, methods=not method), runner.ask, _say(quiet))
        finally:
            runner.abort()
        carry_out_profiles(spec, where, runner, detail, command=repeatable())
    from reports import write_report

    page = write_report(where)
    journal = RunDirectory(where).journal
    records = [record for record in read(journal) if isinstance(record, ProfileRecord)]
    if not quiet and (rows := _rows(records)):
        print_table(("variant", "at", "phase", "calls", "time", "share"), rows)
        typer.echo(f"tensorboard --logdir {where / 'profiles' / 'tensorboard'}", err=True)
    for record in records:
        if record.note and not quiet:
            typer.echo(f"{record.variant}: {record.note}", err=True)
    typer.echo(str(page))
    bad = [record for record in records if record.status != "ok"]
    for record in bad:
        typer.echo(f"{record.variant}: {record.status}: {record.reason}", err=True)
    if bad:
        typer.echo("not every cell could be profiled; the reasons are in the report", err=True)
        raise typer.Exit(INCOMPLETE)


def _say(quiet: bool) -> Callable[[str], None]:
    return (lambda line: None) if quiet else (lambda line: typer.echo(line, err=True))


def _rows(records: list[ProfileRecord]) -> list[tuple[str, ...]]:
    """A row per cell and phase, the longest phase of a cell first."""
    rows: list[tuple[str, ...]] = []
    for record in (record for record in records if record.status == "ok" and record.seconds):
        seconds = record.seconds or 0.0
        letters = {letter: getattr(record, letter) for letter in ("t", "d", "n", "l")}
        at = " ".join(f"{name}={level}" for name, level in letters.items() if level is not None)
        rows.append((record.variant, at, "call", "1", _milliseconds(seconds), "100 %"))
        for phase in sorted(record.phases, key=lambda phase: -phase.self_s):
            share = f"{100 * phase.self_s / seconds:.1f} %"
            time = _milliseconds(phase.self_s)
            rows.append((record.variant, at, phase.phase, f"{phase.calls:g}", time, share))
    return rows


def _milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3f} ms"
