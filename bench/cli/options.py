"""Options that several commands share: what to measure, on what, and where it goes."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.entry_points import found
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset, preset_names
from bench.spec.problems import WITHOUT_SIZES
from bench.spec.spec import Spec
from bench.spec.variants import parse_variant

Preset = Annotated[
    str, typer.Option(help=f"{', '.join(preset_names())}, or a spec of your own in a .toml file.")
]
Axes = Annotated[
    list[str] | None,
    typer.Option(
        "--axis",
        help="Sweep a letter: d=64,128,256 or d=64:4096:x2 or t=1:9:+2; replaces all axes.",
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help=f"What to time: {', '.join(found('teleport_bench.methods'))}, options behind a colon "
        "as in symmetry:published=true; replaces all methods.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help=f"{', '.join(found('teleport_bench.networks'))}, mlp-16-10 (widths of your own), a "
        f"test function without data ({', '.join(found('teleport_bench.problems'))}), or a "
        "function: pkg.module:factory or path/to/file.py:factory."
    ),
]
Dataset = Annotated[
    str | None,
    typer.Option(help=f"{', '.join(found('teleport_bench.datasets'))} (see 'data list')."),
]
DataDir = Annotated[Path | None, typer.Option(help="Where to look for data first.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Dtype = Annotated[str | None, typer.Option(help="float32, float64 or bfloat16.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; the preset's choice if left out.")]
Seed = Annotated[int | None, typer.Option(help="Root of all seeds.")]
Bias = Annotated[bool | None, typer.Option("--bias/--no-bias", help="Give the layers biases.")]
Out = Annotated[
    Path | None, typer.Option(help="Where to write; a new directory under runs/ if left out.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 5 where cells cannot be told.")]
Calibration = Annotated[
    Path | None,
    typer.Option(help="Minimum effects of each cell on this machine, from 'calibrate'."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan; measure nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but the path of the report.")]


def silent(_text: str) -> None:
    """Say nothing."""


def start_of(preset: str, *, own: bool) -> Spec:
    """The preset a gate begins from.

    A model of the user's ``own`` may take no size: of a preset by name it is swept over steps and
    batches alone; a file is taken as it is.
    """
    start = load_preset(preset)
    if not own or preset.endswith(".toml"):
        return start
    return replace(start, axes=tuple(axis for axis in start.axes if axis.name in WITHOUT_SIZES))


def spec_of(
    start: Spec,
    axes: list[str] | None,
    methods: list[str] | None,
    data_dir: Path | None = None,
    **changes: Any,
) -> Spec:
    """``start`` with what the options name put in place; None keeps what is there.

    Raises:
        SpecError: a value that cannot be run.
    """
    return start.with_overrides(
        axes=tuple(parse_axis(text) for text in axes or ()),
        variants=tuple(parse_variant(text) for text in methods or ()),
        data_dir=None if data_dir is None else str(data_dir.resolve()),
        **changes,
    )
