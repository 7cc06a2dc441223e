"""TOML in and out, with the place of a mistake."""

import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w

from bench.errors import SpecError
from bench.spec.checks import shown


def parse(text: str, what: str) -> dict[str, Any]:
    """Read TOML; SpecError names ``what`` was read, and the line and column of the mistake."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"expected {what} to be TOML; got a text with a mistake: {error}") from None


def dump(tree: Mapping[str, Any]) -> str:
    """Write texts, numbers, booleans, lists and tables of these.

    Raises:
        SpecError: a text that holds bytes which are no UTF-8, as a file name may.
    """
    text = tomli_w.dumps(tree)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        start = max(text.rfind("\n", 0, error.start) + 1, error.start - 40)
        raise SpecError(
            f"expected a text in Unicode; got {shown(text[start : error.end])}, which holds bytes "
            "that are not UTF-8: rename the file or folder"
        ) from None
    return text
