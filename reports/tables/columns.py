"""A table from rows of one type: its fields are the columns, their types what a column holds.

No field has a default: a row with a column that its type does not declare cannot be made, nor one
that leaves out a column that it does.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar, get_type_hints

import numpy as np
import pandas as pd
from msgspec import Struct

# What a column holds, by the type of the field, and the dtype that keeps it as it is beside gaps.
_DTYPES: dict[Any, str] = {
    str: "object",
    int: "Int64",
    int | None: "Int64",
    float: "float64",
    float | None: "float64",
    bool | None: "boolean",
}


class Row(Struct, frozen=True, kw_only=True):
    """A row of a table; the fields of its type are the columns, in their order.

    A ``str`` is a text, an ``int`` a whole number, a ``float`` a number, a ``bool`` a yes or no.
    None and NaN are empty cells.
    """


class CellPart(Row, frozen=True):
    """A row of a table that says of which cell it is."""

    cell_id: str
    method: str
    variant: str


class AtPoint(CellPart, frozen=True):
    """A row of a table with a cell a row: where it was measured."""

    model: str
    dataset: str
    device: str
    dtype: str
    t: int | None
    d: int | None
    n: int | None
    l: int | None  # noqa: E741  (the letter of the papers)
    b: int | None


RowT = TypeVar("RowT", bound=Row)


def row_of(kind: type[RowT], *sources: Any, **own: Any) -> RowT:
    """A row of ``own`` columns; every other is the field of its name in the first that has one."""
    rest = [name for name in kind.__struct_fields__ if name not in own]
    if len(sources) == 1:  # of a hundred thousand cells, for instance
        return kind(**own, **{name: getattr(sources[0], name) for name in rest})
    owners = {name: next((s for s in sources if hasattr(s, name)), None) for name in rest}
    return kind(**own, **{name: getattr(owner, name) for name, owner in owners.items()})


def frame(rows: Sequence[Row], kind: type[Row]) -> pd.DataFrame:
    """The rows as a table with the columns that ``kind`` declares."""
    names = kind.__struct_fields__
    return from_columns({name: [*map(attrgetter(name), rows)] for name in names}, kind)


def from_columns(columns: Mapping[str, Sequence[Any]], kind: type[Row]) -> pd.DataFrame:
    """A table from its columns; of very many rows a struct each would take too much memory.

    Raises:
        TypeError: other columns than ``kind`` declares, or in another order.
    """
    if tuple(columns) != kind.__struct_fields__:
        raise TypeError(
            f"expected the columns {', '.join(kind.__struct_fields__)} of a {kind.__name__}; got "
            f"{', '.join(columns)}"
        )
    types = get_type_hints(kind)
    return pd.DataFrame({name: _column(columns[name], _DTYPES[types[name]]) for name in columns})


def _column(values: Sequence[Any], dtype: str) -> pd.Series:
    if dtype == "Int64" and set(map(type, values)) <= {int, type(None)}:
        # The same as below, without asking of each value what it may be.
        missing = np.array([value is None for value in values], dtype=bool)
        whole = [0 if value is None else value for value in values]
        return pd.Series(pd.arrays.IntegerArray(np.array(whole, dtype=np.int64), missing))
    return pd.Series(values, dtype=dtype)
