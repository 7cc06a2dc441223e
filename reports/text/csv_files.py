"""The CSV files of a report.

Those of a large run hold millions of numbers. They are written a column at a time, ten thousands of
rows at once, in the very form that ``DataFrame.to_csv`` gives them three times as slowly.
"""

import csv as csvlib
from collections.abc import Callable
from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
from msgspec.json import encode

from reports.run.harmless import csv_text

_ROWS = 20_000  # at a time: as texts a table takes several times its size
_QUOTED = frozenset(',"\r\n')
# Where both Python and JSON write a number without an exponent, and hence alike.
_PLAIN = (1e-4, 1e16)


def csv(table: pd.DataFrame) -> str:
    """The table as CSV: floats in the shortest form that reads back bit for bit, NaN empty."""
    kinds = [_FIELDS.get(str(dtype)) for dtype in table.dtypes]
    fields = [kind for kind in kinds if kind]
    if len(fields) < max(len(kinds), 2):
        return _by_pandas(table)
    parts = [table.iloc[:0].to_csv(index=False, lineterminator="\n")]
    for start in range(0, len(table), _ROWS):
        rows = table.iloc[start : start + _ROWS]
        columns = [of(rows.iloc[:, place]) for place, of in enumerate(fields)]
        parts += ["\n".join(map(",".join, zip(*columns, strict=True))), "\n"]
    return "".join(parts)


def _by_pandas(table: pd.DataFrame) -> str:
    """A table of another package may hold anything; one of a single column quotes what is empty."""
    safe = table.copy(deep=False)
    for name in safe.columns:
        if safe[name].dtype == object:
            safe[name] = safe[name].map(csv_text)
    return safe.to_csv(index=False, lineterminator="\n")


def _texts(column: pd.Series) -> list[str]:
    missing = column.isna().tolist()
    return ["" if none else _field(v) for v, none in zip(column.tolist(), missing, strict=True)]


def _field(value: Any) -> str:
    text = str(csv_text(value))
    if _QUOTED.isdisjoint(text):
        return text
    line = StringIO()
    csvlib.writer(line, lineterminator="\n").writerow([text])
    return line.getvalue()[:-1]


def _floats(column: pd.Series) -> list[str]:
    values = column.to_numpy()
    fields = encode(values.tolist()).decode()[1:-1].split(",")
    size = np.abs(values)
    plain = (size >= _PLAIN[0]) & (size < _PLAIN[1])
    for place in np.flatnonzero(~plain).tolist():
        value = float(values[place])
        fields[place] = "" if np.isnan(value) else repr(value)
    return fields


def _masked(column: pd.Series) -> list[str]:
    fields = [*map(str, column.to_numpy(dtype=object).tolist())]
    for place in np.flatnonzero(column.isna()).tolist():
        fields[place] = ""
    return fields


_FIELDS: dict[str, Callable[[pd.Series], list[str]]] = {
    "object": _texts,
    "float64": _floats,
    "Int64": _masked,
    "boolean": _masked,
}
