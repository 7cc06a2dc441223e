"""``teleport-bench train``: does a teleport pay? Paired training runs, journal and report."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from bench.cli import options
from bench.cli.cluster.on import On, carry_out_on
from bench.cli.measuring.carried import (
    SILENCE,
    Budget,
    Carrying,
    Resume,
    ShardOption,
    Timeout,
    WorkersOption,
)
from bench.errors import SpecError
from bench.spec.spec import Spec
from bench.training.arms import CONTROLS
from bench.training.settings import OPTIMIZERS

SECTION = "training"

Preset = Annotated[
    str | None,
    typer.Option(
        help="Start: train-quick, fair, fig2 and the paper's other figures; train-quick if left "
        "out, or with --resume the run's own."
    ),
]
Axis = Annotated[
    list[str] | None,
    typer.Option(help="One level each: d=256 (width), l=3 (layers), t=8 (steps of a teleport), n."),
]
Optimizer = Annotated[
    str | None, typer.Option(help=f"One or several: {', '.join(OPTIMIZERS)}, with commas.")
]
Arms = Annotated[
    list[str] | None,
    typer.Option(
        "--arm",
        help="What to train beside plain: a method, nullspace:growth=4, or a control: "
        f"{', '.join(CONTROLS)}; replaces all arms.",
    ),
]


def train(
    preset: Preset = None,
    axis: Axis = None,
    optimizer: Optimizer = None,
    arm: Arms = None,
    model: options.Model = None,
    dataset: options.Dataset = None,
    data_dir: options.DataDir = None,
    seeds: Annotated[int | None, typer.Option(help="Paired runs; an interval takes six.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Of each run.")] = None,
    samples: Annotated[int | None, typer.Option(help="Training samples used; 0 for all.")] = None,
    tune: Annotated[
        int | None, typer.Option(help="Learning rates tried for every arm; 0 tunes none.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(help="Teleport before epochs, 0:5, or every so many steps, 0:2000:500steps."),
    ] = None,
    combiner: Annotated[
        str | None,
        typer.Option(
            help="How the gradients of several tasks are combined: mean, cagrad, fairgrad."
        ),
    ] = None,
    batches: Annotated[int | None, typer.Option(help="Teleport batches at each moment.")] = None,
    lr: Annotated[
        float | None, typer.Option(help="Compare all arms at this learning rate; 0 does not.")
    ] = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    out: options.Out = None,
    resume: Resume = False,
    dry_run: options.DryRun = False,
    budget: Budget = None,
    timeout: Timeout = SILENCE,
    shard: ShardOption = "1/1",
    workers: WorkersOption = None,
    threads: options.Threads = None,
    seed: options.Seed = None,
    bias: options.Bias = None,
    on: On = None,
    quiet: options.Quiet = False,
) -> None:
    """Does a teleport pay? Train with and without, paired; prints the report's path."""
    what = {"model": model, "dataset": dataset, "device": device, "dtype": dtype}
    how = {"budget": budget, "threads": threads, "seed": seed, "bias": bias}
    carrying = Carrying(out, resume, dry_run, timeout, shard, quiet, workers)
    levels = [*(axis or ()), *([] if batches is None else [f"b={batches}"])]
    start = carrying.start(preset, "train-quick")
    spec = options.spec_of(start, levels, None, data_dir, **what, **how)
    given: dict[str, Any] = {
        "optimizers": None if optimizer is None else tuple(optimizer.split(",")),
        "arms": None if not arm else tuple(arm),
        "seeds": seeds,
        "epochs": epochs,
        "samples": samples,
        "tune": tune,
        "schedule": schedule,
        "combiner": combiner,
        "lr": lr,
    }
    spec = _with(spec, {name: v for name, v in given.items() if v is not None})
    if on is None:
        carrying.carry_out(spec)
    else:
        carry_out_on(on, spec, carrying)


def _with(spec: Spec, changes: dict[str, Any]) -> Spec:
    """The spec with other settings of its training."""
    if SECTION not in spec.sections:
        raise SpecError(
            f"expected a preset that trains; {spec.preset} has no [{SECTION}]: write for example "
            "--preset train-quick"
        )
    if spec.axes:
        swept = ", ".join(axis.name for axis in spec.axes)
        raise SpecError(
            f"expected one level of each letter, as --axis d=256; got several of {swept}"
        )
    settings = replace(spec.sections[SECTION], **changes)
    return replace(spec, sections={**spec.sections, SECTION: settings})
