"""``teleport-bench calibrate``: how much do times of the same code differ on this machine?"""

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from bench.cli import options
from bench.cli.stopping import stoppable
from bench.errors import SpecError
from bench.plan.describe import notes_on_options
from bench.spec.preset import load_preset
from bench.spec.spec import Spec

_READINGS = 10_000
_FEWEST = 2


def calibrate(
    preset: options.Preset = "gate",
    axis: options.Axes = None,
    method: options.Methods = None,
    device: options.Device = None,
    repeats: Annotated[int, typer.Option(help="Gates of the same code against itself.")] = 5,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("calibration.json"),
    dry_run: options.DryRun = False,
) -> None:
    """Measure this machine's own noise; gate and compare take the file with --calibration."""
    if repeats < _FEWEST:
        raise SpecError(f"expected --repeats to be at least {_FEWEST}; got {repeats}")
    spec = options.spec_of(load_preset(preset), axis, method, device=device)
    if dry_run:
        from bench.plan.describe import describe
        from bench.plan.points import make_plan

        typer.echo(describe(make_plan(spec)))
        return
    for note in notes_on_options(spec):
        typer.echo(note, err=True)
    with stoppable():
        _carry_out(spec, repeats, out)


def _carry_out(spec: Spec, repeats: int, out: Path) -> None:
    from bench.cli.table import print_table
    from bench.comparison import calibration
    from bench.gate.gate import Rules, run_gate
    from bench.gate.rounds import LOOKS
    from bench.machine.comparable import comparable_key
    from bench.process.local import SOURCE_ROOT, WorkerProcess
    from bench.times import seconds

    rules = Rules(looks=LOOKS[-1:], stages=1)
    results = []
    for number in range(1, repeats + 1):
        typer.echo(f"repeat {number} of {repeats}", err=True)
        roots = SOURCE_ROOT, SOURCE_ROOT
        results.append(run_gate(roots, spec, lambda *_: rules, WorkerProcess, options.silent))
    head = results[-1].sides[1]
    found = calibration.calibrate(
        [result.judgements for result in results],
        comparable_key(head.environment),
        head.benchmark,
        calibration.clock_step([perf_counter() for _ in range(_READINGS)]),
    )
    calibration.save(found, out)
    rows = [
        (noise.label, seconds(noise.seconds), f"{noise.deviation:.2%}", _percent(noise.min_effect))
        for noise in found.cells.values()
    ]
    print_table(("cell", "time", "deviation", "minimum effect"), rows)
    typer.echo(str(out))


def _percent(effect: float) -> str:
    from bench.comparison.calibration import NEVER

    return "never gated: too short for the clock" if effect == NEVER else f"{effect:.1%}"
