"""How ``gate`` and ``compare`` show a comparison and end."""

from pathlib import Path

import typer

from bench.cli.table import print_table
from bench.comparison.calibration import load as load_calibration
from bench.comparison.outcome import Outcome
from bench.errors import SpecError


def show(outcome: Outcome) -> None:
    """Print the table and the sentence."""
    from bench.comparison.exports.text import HEADINGS, row

    if outcome.judgements:
        print_table(HEADINGS, [row(judgement) for judgement in outcome.judgements])
    typer.echo(f"{outcome.headline}. {outcome.sentence}")


def min_effects(path: Path | None, environment: str, benchmark: str) -> dict[str, float]:
    """The calibrated minimum effects that hold here; none without a file."""
    if path is None:
        return {}
    return load_calibration(path).for_machine(environment, benchmark, path)


def effect(value: float | None, default: float) -> float:
    """The minimum effect to use where none was calibrated."""
    if value is None:
        return default
    if not 0 < value < 10:
        raise SpecError(
            f"expected --min-effect to be above 0 and below 10; got {value:g}: write 0.1 for 10 %"
        )
    return value
