"""What the columns of the CSV files and the fields of the journal hold, from their types."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from msgspec import Struct, UnsetType

from bench.storage.record import Record
from bench.storage.records import KINDS
from reports.sections.registered import sections
from reports.tables.columns import Row

WORDS = Path(__file__).with_name("dictionary.toml")
_FILE = re.compile(r"``(\w+)\.csv``")
_NAMES: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "yes or no",
    dict: "mapping",
}


def csv_types() -> dict[str, type[Row]]:
    """Name of a CSV file -> the type of its rows, whose docstring names the file."""
    sections()  # imports every module that has rows
    kinds = {kind: _FILE.search(kind.__dict__.get("__doc__") or "") for kind in _below(Row)}
    return {found[1]: kind for kind, found in sorted(kinds.items(), key=str) if found}


def _below(kind: type[Row]) -> Iterator[type[Row]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def parts(kind: type[Struct]) -> list[type[Struct]]:
    """The structs within the fields of a record, each once."""
    found: list[type[Struct]] = []
    for hint in get_type_hints(kind).values():
        for each in _structs(hint):
            found += [each, *parts(each)]
    return list(dict.fromkeys(found))


def _structs(hint: Any) -> Iterator[type[Struct]]:
    if isinstance(hint, type) and issubclass(hint, Struct):
        yield hint
    for argument in get_args(hint):
        yield from _structs(argument)


class Words:
    """The descriptions of ``dictionary.toml``; raises KeyError for a name it lacks."""

    def __init__(self, path: Path = WORDS) -> None:
        """Read them."""
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        self._found = {"words": found["words"]}
        for group in ("tables", "records"):
            self._found |= {f"{group}.{name}": own for name, own in found[group].items()}
        self.used: set[tuple[str, str]] = set()

    def of(self, where: str, name: str) -> str:
        """What ``name`` means in a file or record, or wherever it stands."""
        place = where if name in self._found.get(where, {}) else "words"
        self.used.add((place, name))
        return str(self._found[place][name])

    def every(self) -> set[tuple[str, str]]:
        """All that are there."""
        return {(where, name) for where, names in self._found.items() for name in names}


def type_words(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) is Annotated:
        return type_words(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        kinds = [each for each in get_args(hint) if each not in (NoneType, UnsetType)]
        return ", ".join(map(type_words, kinds)) + ", or empty"
    if get_origin(hint) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(hint))
    if get_origin(hint) is list:
        return f"list of: {type_words(get_args(hint)[0])}"
    if isinstance(hint, type) and issubclass(hint, Struct):
        return f"[{hint.__name__}](#{hint.__name__.lower()})"
    return _NAMES[get_origin(hint) or hint]


def columns_page() -> str:
    """A table of the columns of every CSV file."""
    words = Words()
    lines = [
        "# Columns of the CSV files",
        "",
        "`teleport-bench report DIR` derives these files from the journal. Numbers are written so "
        "that they are read back as they were; what is not known is empty. Seconds are wall "
        "seconds, and intervals 95 %, unless a line says otherwise.",
    ]
    for name, kind in csv_types().items():
        lines += ["", f"## {name}.csv", "", *_table(kind, f"tables.{name}", words, ())]
    return "\n".join(lines) + "\n"


def journal_page() -> str:
    """A table of the fields of every record of the journal."""
    words = Words()
    common = tuple(Record.__struct_fields__)
    lines = [
        "# Records of the journal",
        "",
        "`journal.jsonl` holds one JSON object a line, whole before the next begins; `kind` says "
        "which of these it is. Fields that are not known are left alone.",
        "",
        "## Every record",
        "",
        *_table(Record, "records", words, ()),
    ]
    within: list[type[Struct]] = []
    for tag, kind in KINDS.items():
        told = [*_table(kind, f"records.{tag}", words, common)]
        lines += ["", f"## {tag}", "", _first(kind), "", *(told if len(told) > 2 else [])]
        within += parts(kind)
    for part in dict.fromkeys(within):
        name = part.__name__
        lines += ["", f"## {name}", "", _first(part), ""]
        lines += _table(part, f"records.{name.lower()}", words, ())
    return "\n".join(lines) + "\n"


def _first(kind: type[Struct]) -> str:
    return (kind.__doc__ or "").strip().split("\n\n")[0].replace("``", "`")


def _table(kind: type[Struct], where: str, words: Words, without: tuple[str, ...]) -> Iterator[str]:
    hints = get_type_hints(kind, include_extras=True)
    yield "| name | holds | type |"
    yield "|---|---|---|"
    for name in kind.__struct_fields__:
        if name not in without:
            text = words.of(where, name).replace("|", "\\|")
            yield f"| `{name}` | {text} | {type_words(hints[name])} |"
