import csv

import pandas as pd
import pytest
import synthetic_run
from page_reading import Page

from reports import write_report


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    """The synthetic run with its report written; tests only read it."""
    directory = synthetic_run.write(tmp_path_factory.mktemp("run"), synthetic_run.records())
    write_report(directory)
    return directory


@pytest.fixture(scope="session")
def page(run_dir):
    return Page((run_dir / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def read(run_dir):
    def table(name):
        with (run_dir / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return pd.DataFrame({key: column([row[key] for row in rows]) for key in rows[0]})

    return table


def column(texts):
    """Exact floats where all are numbers or missing, else the texts."""
    try:
        return [float(text) if text else float("nan") for text in texts]
    except ValueError:
        return texts


@pytest.fixture
def report_of(tmp_path):
    """Writes a report of the given records; returns its directory and the page."""

    def make(records, **files):
        directory = synthetic_run.write(tmp_path / "run", records, **files)
        path = write_report(directory)
        return directory, Page(path.read_text(encoding="utf-8"))

    return make
