"""``teleport-bench probe``: could a teleport pay, before anybody trains: go or no-go."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli import options
from bench.cli.measuring.carried import SILENCE, Budget, Carrying, Resume, Timeout
from bench.cli.table import print_table
from bench.errors import SpecError
from bench.spec.probe import OPTIMIZERS, Probe
from bench.spec.spec import Spec
from bench.storage.journal import read
from bench.storage.probe_records import AdviceRecord
from bench.storage.run_directory import RunDirectory

_HEADINGS = ("optimizer", "epochs", "arm", "decrease", "gain", "lr", "plain's", "by the move")


def probe(
    preset: Annotated[
        str | None,
        typer.Option(
            help="Start: probe-quick, or a spec with the section [probe]; with --resume the run's "
            "own."
        ),
    ] = None,
    axis: Annotated[
        list[str] | None, typer.Option(help="A letter's one level, such as d=256 or n=64.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="What to try, each at every growth; replaces all methods."),
    ] = None,
    optimizer: Annotated[
        str | None, typer.Option(help=f"One or several of {', '.join(OPTIMIZERS)}, with commas.")
    ] = None,
    growth: Annotated[
        list[float] | None, typer.Option(help="What ||g||^2 is multiplied by; replaces all.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="At least 6 for an interval.")] = None,
    model: options.Model = None,
    dataset: options.Dataset = None,
    data_dir: options.DataDir = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    out: options.Out = None,
    resume: Resume = False,
    dry_run: options.DryRun = False,
    budget: Budget = None,
    timeout: Timeout = SILENCE,
    advise: Annotated[
        bool, typer.Option("--advise", help="Say what can move, too: free dimensions by layer.")
    ] = False,
    threads: options.Threads = None,
    seed: options.Seed = None,
    bias: options.Bias = None,
    quiet: options.Quiet = False,
) -> None:
    """Ask whether a teleport could pay, before anybody trains: go or no-go."""
    what = {"model": model, "dataset": dataset, "device": device, "dtype": dtype}
    how = {"budget": budget, "threads": threads, "seed": seed, "bias": bias}
    carrying = Carrying(out, resume, dry_run, timeout, "1/1", quiet)
    start = carrying.start(preset, "probe-quick")
    spec = options.spec_of(start, axis, None, data_dir, **what, **how)
    names = None if optimizer is None else tuple(name.strip() for name in optimizer.split(","))
    asked = {"variants": method, "growths": growth, "optimizers": names, "seeds": seeds}
    spec = _with_section(spec, {**asked, "advise": advise or None})
    carrying.carry_out(spec, show=_print)


def _with_section(spec: Spec, asked: dict[str, Any]) -> Spec:
    """The spec with what the command line says of the probe; axes are fixed, nothing is timed."""
    section = spec.sections.get("probe")
    if not isinstance(section, Probe):
        raise SpecError(
            f"expected a preset with the section [probe]; {spec.preset} has none: use probe-quick"
        )
    if spec.axes:
        raise SpecError(
            f"expected one level of each letter; got {spec.axes[0].name}="
            f"{','.join(map(str, spec.axes[0].values))}: a probe is made at one point"
        )
    changed = {name: value for name, value in asked.items() if value is not None}
    return spec.with_overrides(sections={**spec.sections, "probe": replace(section, **changed)})


def _print(where: Path) -> None:
    """The arms after the last steps, what can move, and the verdicts."""
    from reports.probe.comparison import comparisons
    from reports.probe.probe import probed
    from reports.probe.verdict import verdicts
    from reports.run.run import load
    from reports.text.formatting import interval, number, small

    run = load(RunDirectory(where).path)
    records = probed(run)
    last = [each for each in comparisons(records) if each.last]
    rows = [
        (
            each.place.optimizer,
            str(each.place.epochs),
            each.variant,
            interval(*each.ratio[:3]),
            interval(*each.gain[:3]),
            number(each.lr),
            number(each.lr_plain),
            small(each.move_change),
        )
        for each in last
    ]
    advice = [r for r in read(RunDirectory(where).journal) if isinstance(r, AdviceRecord)]
    for each in advice:
        typer.echo(f"{each.text}\n")
    if rows:
        print_table(_HEADINGS, rows)
    for verdict in verdicts(records):
        typer.echo(verdict.sentence)
