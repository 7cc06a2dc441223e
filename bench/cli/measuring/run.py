"""``teleport-bench run``: from a command line to a journal and its report."""

from typing import Annotated

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
from bench.plan.profiles import Detail

Preset = Annotated[
    str | None,
    typer.Option(
        help="Start: smoke, quick, paper, spectrum or cuda; quick if left out, or with --resume "
        "the run's own."
    ),
]
Profile = Annotated[
    bool,
    typer.Option(
        "--profile", help="Profile the base point, too: phases in the report, traces beside it."
    ),
]


def run(
    preset: Preset = None,
    axis: options.Axes = None,
    method: options.Methods = None,
    model: options.Model = None,
    dataset: options.Dataset = None,
    data_dir: options.DataDir = None,
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
    profile: Profile = False,
    on: On = None,
    quiet: options.Quiet = False,
) -> None:
    """Run a sweep and write its report; prints the report's path."""
    what = {"model": model, "dataset": dataset, "device": device, "dtype": dtype}
    how = {"budget": budget, "threads": threads, "seed": seed, "bias": bias}
    carrying = Carrying(out, resume, dry_run, timeout, shard, quiet, workers)
    spec = options.spec_of(carrying.start(preset, "quick"), axis, method, data_dir, **what, **how)
    detail = Detail() if profile else None
    if on is None:
        carrying.carry_out(spec, detail)
    else:
        carry_out_on(on, spec, carrying, detail)
