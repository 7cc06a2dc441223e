"""The CSV files of a report."""

import pandas as pd

from reports.run.harmless import csv_text


def csv(table: pd.DataFrame) -> str:
    """The table as CSV: floats in the shortest form that reads back bit for bit, NaN empty."""
    safe = table.copy(deep=False)
    for name in safe.columns:
        if safe[name].dtype == object:
            safe[name] = safe[name].map(csv_text)
    return safe.to_csv(index=False, lineterminator="\n")
