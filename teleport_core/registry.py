"""Methods by name: ours, and those that other packages register as entry points."""

from dataclasses import fields
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from teleport_core.errors import OptionError, unknown_name
from teleport_core.interface import Teleporter

GROUP = "teleport_bench.methods"

# Ours are found without installation too; pyproject.toml registers the same names.
_OURS = {
    "identity": "baselines.identity:IdentityTeleporter",
    "nullspace": "teleport_core.nullspace:NullSpaceTeleporter",
    "symmetry": "baselines.symmetry:SymmetryTeleporter",
}


@cache
def _addresses() -> dict[str, str]:
    addresses = dict(_OURS)
    for point in entry_points(group=GROUP):
        if addresses.setdefault(point.name, point.value) != point.value:
            raise OptionError(
                f"expected one method named {point.name!r}; both {addresses[point.name]} and "
                f"{point.value} are registered: rename one of them"
            )
    return addresses


def available() -> list[str]:
    """Names that ``make`` accepts, sorted."""
    return sorted(_addresses())


def method_class(method: str) -> type[Teleporter]:
    """The class behind a method's name; OptionError for an unknown one."""
    if method not in _addresses():
        raise unknown_name("method", method, available())
    module, _, attribute = _addresses()[method].partition(":")
    found: type[Teleporter] = getattr(import_module(module), attribute)
    return found


def make(method: str, **options: Any) -> Teleporter:
    """Build a teleporter, for example ``make("nullspace", steps=4, tau=0.99)``.

    Raises:
        OptionError: unknown method or option, or a value outside its range.
    """
    kind = method_class(method)
    known = {f.name for f in fields(kind) if f.init}
    for name in options:
        if name not in known:
            raise unknown_name(f"an option of {method}", name, known)
    return kind(**options)
