"""What ``compare``, and ``gate`` with --head, do with two measurements that are over."""

import time
from pathlib import Path

import typer

from bench.cli.command import command
from bench.cli.judging.verdicts import min_effects
from bench.comparison.differences import explained
from bench.comparison.judgement import judge
from bench.comparison.outcome import Outcome
from bench.comparison.sources import incomparable, read_source, source_differences
from bench.gate.files import write_exports


def compare_finished(
    base: Path,
    head: Path,
    out: Path | None,
    *,
    default: float,
    calibration: Path | None,
    strict: bool,
) -> Outcome:
    """Verdicts on every cell of two run directories, or files of pytest-benchmark.

    Every export goes into ``out``, if it is given.
    """
    ours, theirs = read_source(base), read_source(head)
    for difference in source_differences(ours, theirs):
        typer.echo(f"from {base} to {head}: {difference}", err=True)
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
        judgements=explained(judgements, incomparable(ours, theirs)),
        strict=strict,
        environment=theirs.environment,
        benchmark=theirs.benchmark,
        command=command(),
        when=time.time(),
    )
    if out is not None:
        write_exports(out, outcome, ours.measured, theirs.measured)
    return outcome
