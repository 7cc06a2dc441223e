"""Flat TOML out, any TOML in: the standard library reads the format but does not write it."""

import math
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from bench.errors import SpecError
from bench.spec.checks import shown

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# TOML 1.0: quotes, backslashes and control characters have to be escaped in a basic string.
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def parse(text: str, what: str) -> dict[str, Any]:
    """Read TOML; SpecError names ``what`` was read, and the line and column of the mistake."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"expected {what} to be TOML; got a text with a mistake: {error}") from None


def dump(tree: Mapping[str, object]) -> str:
    """Write texts, numbers, booleans, lists and tables of these.

    Plain keys come first, whatever their place in ``tree``: after a table's heading they would
    belong to the table.
    """
    tables = {key: value for key, value in tree.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in tree.items() if key not in tables}
    sections = [_lines(plain)] if plain else []
    sections += [f"[{_key(name)}]\n{_lines(table)}" for name, table in tables.items()]
    return "\n".join(sections)


def _lines(table: Mapping[str, object]) -> str:
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, (int, float)) and not (isinstance(value, float) and math.isnan(value)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(v)}" for key, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"expected a text, number, boolean, list or table; got {type(value).__name__}")


def _string(text: str) -> str:
    if _SURROGATE.search(text):
        raise SpecError(
            f"expected a text in Unicode; got {shown(text)}, which holds bytes that are not UTF-8: "
            "rename the file or folder"
        )
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04X}"
