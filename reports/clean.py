"""Foreign text made harmless, once, where it enters a report (see ``bench.plain_text``).

HTML escaping is jinja2's, and formulas in CSV cells are defused by ``csv_text``.
"""

from typing import Any

from bench.plain_text import plain as text

__all__ = ["csv_text", "shortened", "text", "values"]

# What a spreadsheet takes for the beginning of a formula, in narrow and in wide characters.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def values(value: Any) -> Any:
    """The same JSON value with every string in it, keys included, passed through ``text``."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(str(key)): values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [values(item) for item in value]
    return value


def csv_text(value: Any) -> Any:
    """A string no spreadsheet takes for a formula; anything that is not a string as it is."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def shortened(value: str, limit: int = 400) -> str:
    """At most ``limit`` characters, with an ellipsis where something was cut."""
    return value if len(value) <= limit else value[: limit - 1].rstrip() + "…"
