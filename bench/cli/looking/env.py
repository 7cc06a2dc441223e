"""``teleport-bench env``: the machine and software as every run records them."""

import json
from typing import Annotated, Any

import typer

from bench.cli.table import print_table


def env(
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N; auto is cuda where there is one.")
    ] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the machine and software as a run records them, and the key they are compared by."""
    from bench.machine.comparable import comparable_key
    from bench.machine.environment import describe, resolve_device

    found = describe(resolve_device(device))
    found["comparable_key"] = comparable_key(found)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        print_table(("entry", "value"), [(name, _text(value)) for name, value in found.items()])


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
