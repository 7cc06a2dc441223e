"""``teleport-bench compare``: two runs that are over."""

import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer


def compare(
    base: Annotated[Path, typer.Argument(help="A run directory, or a file of pytest-benchmark.")],
    head: Annotated[Path, typer.Argument(help="What to compare with it.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 5 where cells cannot be told.")
    ] = False,
    min_effect: Annotated[
        float | None, typer.Option(help="The smallest relative difference that matters.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="Minimum effects of each cell, from 'calibrate'.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write JSON, Markdown and JUnit XML.")
    ] = None,
) -> None:
    """Compare two run directories, or two files of pytest-benchmark.

    Exit codes: 0 fine, 1 regression, 2 bad usage, 3 not comparable, 4 broken or missing cells,
    5 ambiguous (with --strict).
    """
    from bench.cli.verdicts import effect, min_effects, show
    from bench.comparison import MIN_EFFECT
    from bench.gate_files import write_exports
    from bench.judgement import judge
    from bench.outcome import Outcome
    from bench.sources import read_source

    default = effect(min_effect, MIN_EFFECT)
    ours, theirs = read_source(base), read_source(head)
    judgements = judge(
        ours.measured,
        theirs.measured,
        min_effects=min_effects(calibration, theirs.environment, theirs.benchmark),
        default=default,
        looks=max(ours.looks, theirs.looks),
    )
    outcome = Outcome(
        base=str(base),
        head=str(head),
        judgements=judgements,
        strict=strict,
        environment=theirs.environment,
        benchmark=theirs.benchmark,
        command=shlex.join(["teleport-bench", *sys.argv[1:]]),
        when=time.time(),
    )
    if out is not None:
        write_exports(out, outcome, ours.measured, theirs.measured)
    show(outcome)
    raise typer.Exit(outcome.exit_code)
