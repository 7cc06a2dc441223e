"""Methods by name: entry points of every package, ours among them.

From a source checkout ours are read from its pyproject.toml, so that nothing has to be installed,
and an older installation beside it does not count.
"""

import tomllib
from dataclasses import fields
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from teleport_core.errors import OptionError, unknown_name
from teleport_core.interface import Teleporter

GROUP = "teleport_bench.methods"

_DISTRIBUTION = "teleport-bench"
_PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


@cache
def _addresses() -> dict[str, str]:
    ours = _of_checkout(_PROJECT)
    addresses = dict(ours)
    for point in entry_points(group=GROUP):
        if ours and point.dist is not None and point.dist.name == _DISTRIBUTION:
            continue
        if addresses.setdefault(point.name, point.value) != point.value:
            raise OptionError(
                f"expected one method named {point.name!r}; both {addresses[point.name]} and "
                f"{point.value} are registered: rename one of them"
            )
    return addresses


def _of_checkout(project: Path) -> dict[str, str]:
    """The methods in the pyproject.toml of a checkout; none where there is no such file."""
    try:
        described = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    except (OSError, ValueError, KeyError):
        return {}
    if described.get("name") != _DISTRIBUTION:
        return {}
    methods: dict[str, str] = described.get("entry-points", {}).get(GROUP, {})
    return methods


def available() -> list[str]:
    """Names that ``make`` accepts, sorted."""
    return sorted(_addresses())


def make(method: str, **options: Any) -> Teleporter:
    """Build a teleporter, for example ``make("nullspace", steps=4, tau=0.99)``.

    Raises:
        OptionError: unknown method or option, or a value outside its range.
    """
    if not isinstance(method, str):
        raise OptionError(f"expected method to be one of {', '.join(available())}; got {method!r}")
    if method not in _addresses():
        raise unknown_name("method", method, available())
    module, _, attribute = _addresses()[method].partition(":")
    kind: type[Teleporter] = getattr(import_module(module), attribute)
    known = {f.name for f in fields(kind) if f.init}
    for name in options:
        if name not in known:
            raise unknown_name(f"an option of {method}", name, known)
    return kind(**options)
