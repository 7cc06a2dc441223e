"""Foreign text made harmless, once, where it enters a report (see ``bench.plain_text``).

HTML escaping is jinja2's, and formulas in CSV cells are defused by ``csv_text``.
"""

import sys
from functools import lru_cache
from typing import Any

from bench.plain_text import plain as text

__all__ = ["csv_text", "shortened", "text", "values"]

_DEEPEST = 12
_SHORT = 64
_HARMLESS = frozenset((int, float, bool, type(None)))
# What a spreadsheet takes for the beginning of a formula, in narrow and in wide characters.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def values(value: Any, depth: int = _DEEPEST) -> Any:
    """The same JSON value with every string in it, keys included, passed through ``text``.

    Raises:
        ValueError: lists or objects nested deeper than anything of ours.
    """
    kind = type(value)
    if kind is str:
        return _name(value) if len(value) < _SHORT else text(value)
    if kind is not dict and kind is not list:
        return value
    if not depth:
        raise ValueError(f"expected values nested at most {_DEEPEST} deep; got deeper ones")
    if kind is list:
        return [item if type(item) in _HARMLESS else values(item, depth - 1) for item in value]
    return {
        _name(key): item if type(item) in _HARMLESS else values(item, depth - 1)
        for key, item in value.items()
    }


@lru_cache(maxsize=4096)
def _name(value: str) -> str:
    """A name that comes again in every record is cleaned once and kept once."""
    return sys.intern(text(value))


def csv_text(value: Any) -> Any:
    """A string no spreadsheet takes for a formula; anything that is not a string as it is."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def shortened(value: str, limit: int = 400) -> str:
    """At most ``limit`` characters, with an ellipsis where something was cut."""
    return value if len(value) <= limit else value[: limit - 1].rstrip() + "…"
