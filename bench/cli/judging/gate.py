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
Store = Annotated[
    Path | None,
    typer.Option(
        help="A folder that keeps results by machine and commit: the working tree alone is "
        "measured, judged by what is kept of base, and kept."
    ),
]
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
    store: Store = None,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Compare the working tree with a revision, in turns on this machine.

    In a repository of yours --model names a factory in it: both revisions' own code is measured.

    Exit codes: 0 fine, 1 regression, 2 bad usage, 3 not comparable, 4 broken or missing cells,
    5 ambiguous (with --strict).
    """
    from bench.cli.judging import gating
    from bench.cli.judging.finished import compare_finished
    from bench.cli.judging.stored import carry_out as carry_out_stored
    from bench.cli.judging.verdicts import effect
    from bench.gate.gate import MIN_EFFECT
    from bench.gate.store import Store as Kept

    where = out or Path("runs") / f"gate-{datetime.now():%Y%m%d-%H%M%S-%f}"
    if where.exists() and (not where.is_dir() or any(where.iterdir())):
        raise RunError(f"expected an empty --out; {where} holds something: choose another")
    default = effect(min_effect, MIN_EFFECT)
    if head is not None:
        outcome = compare_finished(
            Path(base), head, where, default=default, calibration=calibration, strict=strict
        )
        raise typer.Exit(gating.finish(outcome, history).exit_code)
    own = gating.own_here(model)
    what = {"model": own.address if own else model, "dataset": dataset, "device": device}
    start = options.start_of(preset, own=own is not None)
    more = {"dtype": dtype, "threads": threads, "seed": seed}
    plan = make_plan(options.spec_of(start, axis, method, data_dir, **what, **more))
    kept = None if store is None else Kept(store)
    asked = gating.Asked(base, where, strict, default, calibration, history, own, kept)
    if dry_run:
        typer.echo(gating.describe(asked, plan))
        return
    say = options.silent if quiet else partial(typer.echo, err=True)
    for note in notes_on_options(plan.spec):
        say(note)
    with stoppable():
        outcome = (
            carry_out_stored(asked, kept, plan, say) if kept else gating.carry_out(asked, plan, say)
        )
    raise typer.Exit(outcome.exit_code)
