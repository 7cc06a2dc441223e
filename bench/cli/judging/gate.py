"""``teleport-bench gate``: has this working tree become slower than a revision?"""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.stopping import stoppable
from bench.errors import RunError
from bench.plan.describe import notes_on_options
from bench.plan.points import make_plan
from bench.spec.preset import load_preset

Base = Annotated[
    str, typer.Option(help="The git revision to compare with, for example origin/main.")
]
Head = Annotated[
    Path | None,
    typer.Option(
        help="A run directory or a file of pytest-benchmark in place of the working tree; --base "
        "then names one, too, and nothing is measured."
    ),
]
MinEffect = Annotated[
    float | None,
    typer.Option(help="The smallest relative difference that matters; 0.1 if left out."),
]
History = Annotated[Path | None, typer.Option(help="A file to append the result to.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check the revision and print the plan; measure nothing.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the table alone.")]


def gate(
    base: Base,
    head: Head = None,
    preset: options.Preset = "gate",
    axis: options.Axes = None,
    method: options.Methods = None,
    model: options.Model = None,
    dataset: options.Dataset = None,
    data_dir: options.DataDir = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    seed: options.Seed = None,
    out: options.Out = None,
    strict: options.Strict = False,
    min_effect: MinEffect = None,
    calibration: options.Calibration = None,
    history: History = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Compare the working tree with a revision, in turns on this machine.

    Exit codes: 0 fine, 1 regression, 2 bad usage, 3 not comparable, 4 broken or missing cells,
    5 ambiguous (with --strict).
    """
    from bench.cli.judging import gating
    from bench.cli.judging.finished import compare_finished
    from bench.cli.judging.verdicts import effect
    from bench.gate.gate import MIN_EFFECT

    where = out or Path("runs") / f"gate-{datetime.now():%Y%m%d-%H%M%S-%f}"
    if where.exists() and (not where.is_dir() or any(where.iterdir())):
        raise RunError(f"expected an empty --out; {where} holds something: choose another")
    default = effect(min_effect, MIN_EFFECT)
    if head is not None:
        outcome = compare_finished(
            Path(base), head, where, default=default, calibration=calibration, strict=strict
        )
        raise typer.Exit(gating.finish(outcome, history).exit_code)
    what = {"model": model, "dataset": dataset, "device": device, "dtype": dtype}
    start = load_preset(preset)
    spec = options.spec_of(start, axis, method, data_dir, **what, threads=threads, seed=seed)
    plan = make_plan(spec)
    if dry_run:
        typer.echo(gating.describe(base, plan))
        return
    say = options.silent if quiet else partial(typer.echo, err=True)
    for note in notes_on_options(spec):
        say(note)
    asked = gating.Asked(base, where, strict, default, calibration, history)
    with stoppable():
        outcome = gating.carry_out(asked, plan, say)
    raise typer.Exit(outcome.exit_code)
