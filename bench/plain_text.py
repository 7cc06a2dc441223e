"""Foreign text made harmless: one line without control codes, for terminals, CSV files and pages.

Names, reasons and environment values come from users' code and from what dead workers wrote.
Colour codes and cursor moves, control characters, marks that turn the direction of a line and
characters that cannot be seen are taken out.
"""

import re
import unicodedata

_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor moves
    r"|\x9b[0-?]*[ -/]*[@-~]"  # the same with the one-byte introducer
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # strings for the device
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles and hyperlinks
    r"|\x1b[ -/]*[0-~]"  # the two-byte rest
)
_BREAKS = re.compile(r"[\s\u2028\u2029]+")


def plain(text: str) -> str:
    """One line without colour codes, control, direction or invisible characters."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    line = _BREAKS.sub(" ", _ANSI.sub("", text)).strip()
    return "".join(map(_visible, line))


def plain_lines(text: str) -> str:
    """The same for a message of several lines, which stay."""
    return "\n".join(map(_keeping_indent, text.splitlines()))


def _keeping_indent(line: str) -> str:
    indent = len(line) - len(line.lstrip(" "))
    return " " * indent + plain(line)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cs":  # a lone surrogate cannot be written as UTF-8
        return "\N{REPLACEMENT CHARACTER}"
    return "" if category in ("Cc", "Cf") else character
