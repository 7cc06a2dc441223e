"""``teleport-bench methods``: every registered method, what it promises and what it takes."""

from dataclasses import MISSING, Field, fields
from typing import Any

import typer


def methods() -> None:
    """List every method: what it promises, and its options with their defaults."""
    from bench.entry_points import found, load

    # Loads torch, as does whatever comes from other packages.
    kinds = {name: load(point) for name, point in found("teleport_bench.methods").items()}
    options = {name: [f for f in fields(kind) if f.init] for name, kind in kinds.items()}
    common = set.intersection(*({f.name for f in own} for own in options.values()))
    for name, kind in kinds.items():
        typer.echo(f"{name}: {promise(kind)}")
        own = [_text(f) for f in options[name] if f.name not in common]
        typer.echo(f"    {', '.join(own) or 'no options of its own'}\n")
    shared = [_text(f) for f in next(iter(options.values())) if f.name in common]
    typer.echo(f"all: {', '.join(shared)}; steps is the axis t of a sweep")


def promise(kind: type[Any]) -> str:
    """What a method says that it keeps; of one that does not say, what it does."""
    said: str = kind.promise
    return said or (kind.__doc__ or "").partition("\n")[0]


def _text(option: Field[Any]) -> str:
    """An option as it is written behind a method; one that is off by default has no value."""
    default = option.default
    if default is MISSING or default is None:
        return option.name
    return f"{option.name}={str(default).lower() if isinstance(default, bool) else default}"
