"""``teleport-bench run``: from a command line to a journal and its report."""

from dataclasses import replace
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
from bench.cli.measuring.fitting import Fit, split_taus
from bench.plan.profiles import Detail

Preset = Annotated[
    str | None,
    typer.Option(
        help="Start: smoke, quick, methods, paper, spectrum or cuda; quick if left out, or with "
        "--resume the run's own."
    ),
]
Axes = Annotated[
    list[str] | None,
    typer.Option(
        "--axis",
        help="Sweep a letter, d=64,128,256 or d=64:4096:x2 or t=1:9:+2, in place of all axes; or "
        "thresholds, tau=1,.99,.9, besides them.",
    ),
]
Profile = Annotated[
    bool,
    typer.Option(
        "--profile", help="Profile the base point, too: phases in the report, traces beside it."
    ),
]

Samples = Annotated[
    int | None,
    typer.Option(
        help="At most so many samples of a cell, in place of the preset's; an interval takes 6."
    ),
]


def run(
    preset: Preset = None,
    axis: Axes = None,
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
    samples: Samples = None,
    profile: Profile = False,
    on: On = None,
    quiet: options.Quiet = False,
) -> None:
    """Run a sweep and write its report; prints the report's path."""
    what = {"model": model, "dataset": dataset, "device": device, "dtype": dtype}
    how = {"budget": budget, "threads": threads, "seed": seed, "bias": bias}
    carrying = Carrying(out, resume, dry_run, timeout, shard, quiet, workers)
    letters, taus = split_taus(axis)
    start = carrying.start(preset, "quick")
    spec = options.spec_of(start, letters, method, data_dir, **what, **how)
    if samples is not None:
        spec = replace(spec, sampling=spec.sampling.at_most(samples))
    spec = carrying.fitted(spec, Fit(axes=not letters, methods=not method, taus=taus))
    detail = Detail() if profile else None
    if on is None:
        carrying.carry_out(spec, detail)
    else:
        carry_out_on(on, spec, carrying, detail)
