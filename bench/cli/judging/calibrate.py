"""``teleport-bench calibrate``: how much do times of the same code differ on this machine?"""

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from bench.cli import options
from bench.cli.stopping import stoppable
from bench.errors import SpecError
from bench.plan.describe import notes_on_options
from bench.spec.spec import Spec

if TYPE_CHECKING:
    from bench.gate.own_model import OwnModel

_READINGS = 10_000
_FEWEST = 2


def calibrate(
    preset: options.Preset = "gate",
    axis: options.Axes = None,
    method: options.Methods = None,
    model: options.Model = None,
    device: options.Device = None,
    repeats: Annotated[int, typer.Option(help="Gates of the same code against itself.")] = 5,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("calibration.json"),
    dry_run: options.DryRun = False,
) -> None:
    """Measure this machine's own noise; gate and compare take the file with --calibration.

    In a repository of yours --model names a factory in it, as with gate.
    """
    from bench.cli.judging.gating import own_here

    if repeats < _FEWEST:
        raise SpecError(f"expected --repeats to be at least {_FEWEST}; got {repeats}")
    own = own_here(model)
    start = options.start_of(preset, own=own is not None)
    named = own.address if own else model
    spec = options.spec_of(start, axis, method, device=device, model=named)
    if dry_run:
        from bench.plan.describe import describe
        from bench.plan.points import make_plan

        typer.echo(describe(make_plan(spec)))
        return
    for note in notes_on_options(spec):
        typer.echo(note, err=True)
    with stoppable():
        _carry_out(spec, own, repeats, out)


def _carry_out(spec: Spec, own: "OwnModel | None", repeats: int, out: Path) -> None:
    from bench.cli.table import print_table
    from bench.comparison import calibration
    from bench.gate.gate import Rules, run_gate
    from bench.gate.rounds import LOOKS
    from bench.gate.subject import Subject, launched
    from bench.machine.comparable import comparable_key
    from bench.process.local import SOURCE_ROOT
    from bench.times import seconds

    rules = Rules(looks=LOOKS[-1:], stages=1)
    subject = own.subject(own.repository) if own else Subject(SOURCE_ROOT, SOURCE_ROOT)
    results = []
    for number in range(1, repeats + 1):
        typer.echo(f"repeat {number} of {repeats}", err=True)
        both = subject, subject
        results.append(run_gate(both, spec, lambda *_: rules, launched, options.silent))
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
