"""What ``compare``, and ``gate`` with --head, do with two measurements that are over."""

import time
from dataclasses import dataclass
from pathlib import Path

from bench.cli.command import command
from bench.cli.judging.verdicts import min_effects
from bench.comparison.judgement import judge
from bench.comparison.outcome import Outcome
from bench.comparison.sources import read_source
from bench.gate.files import write_exports


@dataclass(frozen=True)
class Pair:
    """Two run directories or files of pytest-benchmark, and when a difference matters."""

    base: Path
    head: Path
    default: float
    calibration: Path | None
    strict: bool


def compare_finished(pair: Pair, out: Path | None) -> Outcome:
    """Verdicts on every cell; every export in ``out``, if it is given."""
    ours, theirs = read_source(pair.base), read_source(pair.head)
    judgements = judge(
        ours.measured,
        theirs.measured,
        min_effects=min_effects(pair.calibration, theirs.environment, theirs.benchmark),
        default=pair.default,
        looks=max(ours.looks, theirs.looks),
    )
    outcome = Outcome(
        base=str(pair.base),
        head=str(pair.head),
        judgements=judgements,
        strict=pair.strict,
        environment=theirs.environment,
        benchmark=theirs.benchmark,
        command=command(),
        when=time.time(),
    )
    if out is not None:
        write_exports(out, outcome, ours.measured, theirs.measured)
    return outcome
