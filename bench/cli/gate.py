"""``teleport-bench gate``: has this working tree become slower than a revision?"""

import shlex
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from bench.axes import parse_axis
from bench.cli.stopping import stoppable
from bench.errors import RunError
from bench.plan import make_plan
from bench.preset import load_preset
from bench.variants import parse_variant

_HELP = {
    "base": "The git revision to compare with, for example origin/main.",
    "head": "A run directory or a file of pytest-benchmark in place of the working tree; --base "
    "then names one, too, and nothing is measured.",
    "preset": "What to measure: gate, or any preset.",
    "axis": "Sweep a letter: d=64,128; replaces all axes of the preset.",
    "method": "What to time: nullspace, symmetry:published=true, ...; replaces all methods.",
    "model": "mlp, or a function of yours: pkg.module:factory or path/to/file.py:factory.",
    "dataset": "digits, mnist, fashion-mnist (see 'data list').",
    "data_dir": "Where to look for data first.",
    "device": "cpu, cuda, cuda:N or auto.",
    "dtype": "float32, float64 or bfloat16.",
    "threads": "CPU threads; the preset gate takes one.",
    "seed": "Root of all seeds.",
    "out": "Where to write; a new directory under runs/ if left out.",
    "strict": "Exit with 5 where cells cannot be told.",
    "min_effect": "The smallest relative difference that matters; 0.1 if left out.",
    "calibration": "Minimum effects of each cell on this machine, from 'calibrate'.",
    "history": "A file to append the result to.",
    "dry_run": "Check the revision and print the plan; measure nothing.",
    "quiet": "Print the table alone.",
}


def _option(name: str, *flags: str) -> typer.models.OptionInfo:
    return typer.Option(*flags, help=_HELP[name])  # type: ignore[no-any-return]


def gate(
    base: Annotated[str, _option("base", "--base")],
    head: Annotated[Path | None, _option("head")] = None,
    preset: Annotated[str, _option("preset")] = "gate",
    axis: Annotated[list[str] | None, _option("axis")] = None,
    method: Annotated[list[str] | None, _option("method")] = None,
    model: Annotated[str | None, _option("model")] = None,
    dataset: Annotated[str | None, _option("dataset")] = None,
    data_dir: Annotated[Path | None, _option("data_dir")] = None,
    device: Annotated[str | None, _option("device")] = None,
    dtype: Annotated[str | None, _option("dtype")] = None,
    threads: Annotated[int | None, _option("threads")] = None,
    seed: Annotated[int | None, _option("seed")] = None,
    out: Annotated[Path | None, _option("out")] = None,
    strict: Annotated[bool, _option("strict", "--strict")] = False,
    min_effect: Annotated[float | None, _option("min_effect")] = None,
    calibration: Annotated[Path | None, _option("calibration")] = None,
    history: Annotated[Path | None, _option("history")] = None,
    dry_run: Annotated[bool, _option("dry_run", "--dry-run")] = False,
    quiet: Annotated[bool, _option("quiet", "--quiet")] = False,
) -> None:
    """Compare the working tree with a revision, in turns on this machine.

    Exit codes: 0 fine, 1 regression, 2 bad usage, 3 not comparable, 4 broken or missing cells,
    5 ambiguous (with --strict).
    """
    from bench.cli import gating
    from bench.cli.finished import Pair
    from bench.cli.verdicts import effect
    from bench.gate import MIN_EFFECT

    where = out or Path("runs") / f"gate-{datetime.now():%Y%m%d-%H%M%S-%f}"
    if where.exists() and (not where.is_dir() or any(where.iterdir())):
        raise RunError(f"expected an empty --out; {where} holds something: choose another")
    default = effect(min_effect, MIN_EFFECT)
    if head is not None:
        pair = Pair(Path(base), head, default, calibration, strict)
        raise typer.Exit(gating.carry_out_finished(pair, where, history).exit_code)
    spec = load_preset(preset).with_overrides(
        axes=tuple(parse_axis(text) for text in axis or ()),
        variants=tuple(parse_variant(text) for text in method or ()),
        model=model,
        dataset=dataset,
        data_dir=None if data_dir is None else str(data_dir.resolve()),
        device=device,
        dtype=dtype,
        threads=threads,
        seed=seed,
    )
    plan = make_plan(spec)
    asked = gating.Asked(
        base=base,
        plan=plan,
        out=where,
        strict=strict,
        default=default,
        calibration=calibration,
        history=history,
        command=shlex.join(["teleport-bench", *sys.argv[1:]]),
        when=time.time(),
    )
    if dry_run:
        typer.echo(gating.describe(asked))
        return
    with stoppable():
        outcome = gating.carry_out(asked, say=_silent if quiet else _say)
    raise typer.Exit(outcome.exit_code)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _silent(_text: str) -> None:
    """Say nothing."""
