"""Files of a report, each written beside its place and renamed, so that none is ever half there."""

import os
from pathlib import Path

import pandas as pd

from reports.clean import csv_text


def csv(table: pd.DataFrame) -> str:
    """The table as CSV: floats in the shortest form that reads back bit for bit, NaN empty."""
    safe = table.copy()
    for name in safe.columns:
        if safe[name].dtype == object:
            safe[name] = safe[name].map(csv_text)
    return safe.to_csv(index=False, lineterminator="\n")


def write(path: Path, content: str) -> None:
    """Replace ``path`` by ``content`` in one move; on an error the old file stays."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(content, encoding="utf-8", newline="")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
