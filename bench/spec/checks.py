"""Checks of single values a user wrote: return the value, or raise SpecError with its text.

Every text says what was expected, what came and, where it helps, what to write instead.
"""

import difflib
import math
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from bench.errors import SpecError

LARGEST = 2**31 - 1
_SHOWN = 60


def shown(value: object) -> str:
    """``repr`` for a message: short, and total even for numbers too long for ``repr``."""
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print integers of more than 4300 digits.
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def whole(name: str, value: object, *, at_least: int = 1, at_most: int = LARGEST) -> int:
    """Return ``value`` if it is an int in the range, bools excluded."""
    good = isinstance(value, int) and not isinstance(value, bool)
    if not good or not at_least <= value <= at_most:  # type: ignore[operator]
        raise SpecError(
            f"expected {name} to be a whole number from {at_least} to {at_most}; got {shown(value)}"
        )
    return value  # type: ignore[return-value]


def number(name: str, value: object, *, above: float, at_most: float | None = None) -> float:
    """Return ``value`` as a float if it is a finite number in (above, at_most]."""
    span = f"a number > {above:g}" + (f" and <= {at_most:g}" if at_most is not None else "")
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise SpecError(f"expected {name} to be {span}; got {shown(value)}")
    try:
        converted = float(value)
    except OverflowError:
        converted = math.inf
    limit = math.inf if at_most is None else at_most
    if not (math.isfinite(converted) and above < converted <= limit):
        raise SpecError(f"expected {name} to be {span}; got {shown(value)}")
    return converted


def flag(name: str, value: object) -> bool:
    """Return ``value`` if it is true or false."""
    if not isinstance(value, bool):
        raise SpecError(f"expected {name} to be true or false; got {shown(value)}")
    return value


def text(name: str, value: object) -> str:
    """Return ``value`` if it is a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise SpecError(f"expected {name} to be a text that is not empty; got {shown(value)}")
    return value


def choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise unknown_name(name, value, choices)
    return value


def items(name: str, value: object) -> tuple[object, ...]:
    """Return ``value`` as a tuple if it is a list or tuple."""
    if not isinstance(value, (list, tuple)):
        raise SpecError(f"expected {name} to be a list; got {shown(value)}")
    return tuple(value)


def distinct(name: str, values: Iterable[object]) -> None:
    """Refuse a value that is given twice."""
    seen: set[object] = set()
    for value in values:
        if value in seen:
            raise SpecError(
                f"expected {name} to name each value once; got {value} twice: leave one out"
            )
        seen.add(value)


def unknown_name(name: str, value: object, known: Iterable[str]) -> SpecError:
    """Build the error for a misspelt name, with the nearest known one as the suggestion."""
    choices = list(known)
    near = difflib.get_close_matches(value, choices, n=1) if isinstance(value, str) else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return SpecError(f"expected {name} to be one of {', '.join(choices)}; got {shown(value)}{hint}")


def section_of(kind: type[Any], name: str, table: object) -> Any:
    """Build ``kind`` from a TOML table whose keys are its fields."""
    if not isinstance(table, dict):
        raise SpecError(f"expected [{name}] to be a table; got {shown(table)}")
    known = [f.name for f in fields(kind)]
    for key in table:
        if key not in known:
            raise unknown_name(f"a key of [{name}]", key, known)
    return kind(**table)
