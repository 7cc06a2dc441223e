import pytest
import synthetic_training as synthetic
from page_reading import Page

from reports import write_report
from reports.report import tables_of
from reports.run.run import load
from reports.training.judged import judged


@pytest.fixture(scope="session")
def asked():
    """Ten seeds, so that there are intervals."""
    return synthetic.settings(seeds=10, optimizers=("sgd",))


@pytest.fixture(scope="session")
def journal(asked):
    """The records of the whole experiment; tests only read it."""
    return synthetic.records(asked)


@pytest.fixture
def judged_of(tmp_path):
    """What the records of an experiment come to, read as a report reads them."""

    def make(records, asked, **files):
        return judged(load(synthetic.write(tmp_path / "run", records, asked, **files)))

    return make


@pytest.fixture
def table_of(tmp_path):
    """One of the tables of a report."""

    def make(name, records, asked):
        return tables_of(synthetic.write(tmp_path / "run", records, asked))[name]

    return make


@pytest.fixture
def training_page(tmp_path):
    """The page of an experiment."""

    def make(records, asked, **files):
        path = write_report(synthetic.write(tmp_path / "run", records, asked, **files))
        return Page(path.read_text(encoding="utf-8"))

    return make
