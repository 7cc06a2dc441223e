"""A CSV file is what pandas would write, with formulas defused."""

import math
import random

import pandas as pd
import pytest

from reports.text.csv_files import csv

ODD_FLOATS = [0.0, -0.0, 5e-324, 1e-4, 9.999e-5, 1e15, 1e16, 1e17, 2.0**53 + 2, 1 / 3, -1e-300]
ODD_TEXTS = ["", "a,b", 'say "x"', " lead", "two\nlines", "cr\rcr", "é", "NaN", "'", "\t"]


def by_pandas(table):
    return table.to_csv(index=False, lineterminator="\n")


def a_table(count):
    draw = random.Random(count)
    floats = [draw.choice([*ODD_FLOATS, math.nan, math.inf, -math.inf]) for _ in range(count)]
    columns = {
        "text": ([draw.choice([*ODD_TEXTS, None]) for _ in range(count)], "object"),
        "float": (floats, "float64"),
        "any": ([draw.lognormvariate(-5, 9) for _ in range(count)], "float64"),
        "whole": ([draw.choice([None, 0, -3, 2**60]) for _ in range(count)], "Int64"),
        "yes, no": ([draw.choice([None, True, False]) for _ in range(count)], "boolean"),
    }
    return pd.DataFrame({n: pd.Series(values, dtype=kind) for n, (values, kind) in columns.items()})


@pytest.mark.parametrize("count", [0, 1, 500, 20_000, 20_001])
def test_it_is_written_as_pandas_writes_it(count):
    table = a_table(count)

    assert csv(table) == by_pandas(table)


@pytest.mark.parametrize("name", ["text", "float", "whole"])
def test_so_is_a_single_column_with_its_gaps(name):
    table = a_table(200)[[name]]

    assert csv(table) == by_pandas(table)


def test_and_what_only_another_package_would_put_there():
    table = a_table(50).assign(day=pd.Timestamp(2024, 5, 17), size=pd.Series(range(50)))

    assert csv(table) == by_pandas(table)


@pytest.mark.parametrize("more", [{}, {"size": 1}])
def test_formulas_are_defused(more):
    formulas = ["=1+2", "-1,5", "+x", "@x", "\uff1dA1"]
    table = pd.DataFrame({"text": pd.Series(formulas, dtype=object), "float": 1.0, **more})

    lines = csv(table).splitlines()[1:]

    assert [line.strip('"')[0] for line in lines] == ["'"] * len(formulas)
    assert lines[1].startswith('"\'-1,5",1.0')
