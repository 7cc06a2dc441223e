"""``teleport-bench compare``: two runs that are over."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options


def compare(
    base: Annotated[Path, typer.Argument(help="A run directory, or a file of pytest-benchmark.")],
    head: Annotated[Path, typer.Argument(help="What to compare with it.")],
    strict: options.Strict = False,
    min_effect: Annotated[
        float | None,
        typer.Option(help="The smallest relative difference that matters; 0.05 if left out."),
    ] = None,
    calibration: options.Calibration = None,
    out: Annotated[
        Path | None, typer.Option(help="Where to write JSON, Markdown and JUnit XML.")
    ] = None,
) -> None:
    """Compare two run directories, or two files of pytest-benchmark.

    Exit codes: 0 fine, 1 regression, 2 bad usage, 3 not comparable, 4 broken or missing cells,
    5 ambiguous (with --strict).
    """
    from bench.cli.judging.finished import compare_finished
    from bench.cli.judging.verdicts import effect, show
    from bench.comparison.verdicts import MIN_EFFECT

    default = effect(min_effect, MIN_EFFECT)
    outcome = compare_finished(
        base, head, out, default=default, calibration=calibration, strict=strict
    )
    show(outcome)
    raise typer.Exit(outcome.exit_code)
