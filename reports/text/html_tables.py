"""A table as the page prints it: columns, and cells with a text and a value to sort by."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from reports.run.harmless import shortened
from reports.text import formatting


class Cell(NamedTuple):
    """What is printed, a quieter remark behind it, and what a click on the header sorts by."""

    text: str
    remark: str = ""
    value: float | str = ""


UNKNOWN = Cell(formatting.DASH)


class Column(NamedTuple):
    """A header; ``numeric`` columns are set flush right."""

    label: str
    numeric: bool = True


@dataclass(frozen=True)
class Table:
    """One table of the page."""

    caption: str
    columns: list[Column]
    rows: list[list[Cell]]

    def without_empty(self) -> "Table":
        """The same table less the columns in which nothing is known."""
        empty, places = ("", formatting.DASH), range(len(self.columns))
        kept = [i for i in places if any(row[i].text not in empty for row in self.rows)]
        return self._with_columns(kept, self.caption)

    def with_common_in_caption(self, labels: Sequence[str]) -> "Table":
        """Of these columns those in which all rows say the same go into the caption."""
        if len(self.rows) < 2:
            return self
        named = [i for i, column in enumerate(self.columns) if column.label in labels]
        same = [i for i in named if len({row[i][:2] for row in self.rows}) == 1]
        facts = [f"{self.columns[index].label} {self.rows[0][index].text}" for index in same]
        kept = [index for index in range(len(self.columns)) if index not in same]
        return self._with_columns(kept, "; ".join([self.caption, *facts]))

    def _with_columns(self, kept: list[int], caption: str) -> "Table":
        columns = [self.columns[index] for index in kept]
        rows = [[row[index] for index in kept] for row in self.rows]
        return Table(caption, columns, rows)


def words(text: Any) -> Cell:
    """A text, cut where it would fill the page."""
    short = shortened(str(text))
    return Cell(short, "", short)


def texts(*values: Any) -> list[Cell]:
    """Several of them."""
    return [*map(words, values)]


def whole(value: Any) -> Cell:
    """A whole number, or a dash."""
    size = float("nan") if value is None else float(value)
    return Cell(formatting.whole(int(size)), "", size) if math.isfinite(size) else UNKNOWN


def seconds(value: float, low: float = math.nan, high: float = math.nan) -> Cell:
    """A time with its interval in the same unit."""
    return _split(formatting.seconds_interval(value, low, high), value)


def numbers(value: float, low: float = math.nan, high: float = math.nan) -> Cell:
    """A number with its interval."""
    return _split(formatting.interval(value, low, high), value)


def slope(value: float, low: float, high: float) -> Cell:
    """An exponent or a slope with its interval."""
    return _split(formatting.slope_interval(value, low, high), value)


def percent(share: float, low: float = math.nan, high: float = math.nan) -> Cell:
    """A share as a percentage with its interval."""
    return _split(formatting.percent_interval(share, low, high), share)


def small(value: float) -> Cell:
    """A number that is often tiny."""
    return _split(formatting.small(value), value)


def memory(size: int | None) -> Cell:
    """A size in bytes, or a dash."""
    return UNKNOWN if size is None else Cell(formatting.memory(size), "", size)


def columns(text: Sequence[str], numeric: Sequence[str]) -> list[Column]:
    """Text columns, then numeric ones."""
    return [*(Column(label, False) for label in text), *(Column(label) for label in numeric)]


def _split(text: str, value: float) -> Cell:
    number, _, rest = text.partition(" [")
    return Cell(number, "[" + rest if rest else "", value) if math.isfinite(value) else UNKNOWN
