"""Foreign text made harmless, once, where it enters a report.

Names, reasons and environment values come from users' code and from stderr of dead workers. Colour
codes, control characters and marks that reorder the line are taken out here; HTML escaping is
jinja2's, and formulas in CSV cells are defused by ``csv_text``.
"""

import re
import unicodedata
from typing import Any

_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor moves
    r"|\x9b[0-?]*[ -/]*[@-~]"  # the same with the one-byte introducer
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and hyperlinks
    r"|\x1b[ -/]*[0-~]"  # the two-byte rest
)
_BREAKS = re.compile(r"[\s\u2028\u2029]+")
_FORMULA = ("=", "+", "-", "@")


def text(value: str) -> str:
    """One line without colour codes, control, direction or invisible characters."""
    line = _BREAKS.sub(" ", _ANSI.sub("", value)).strip()
    return "".join(_visible(character) for character in line)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":  # a lone surrogate cannot be written as UTF-8
        return "\N{REPLACEMENT CHARACTER}"
    return "" if category in ("Cc", "Cf") else character


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
