"""A run that is told to stop, or whose disk takes no more: an orderly end, everything intact."""

import signal

import pytest
from driving import CELLS, Driver, check_resumed, journal_of, left_over

from bench.storage.journal import load

TOLD = {"SIGTERM": 128 + signal.SIGTERM, "SIGHUP": 128 + signal.SIGHUP, "SIGINT": 130}


@pytest.fixture(scope="module")
def driver():
    with Driver() as running:
        yield running


@pytest.mark.parametrize(
    ("how", "code"), [*TOLD.items(), ("terminal", 128 + signal.SIGHUP)], ids=[*TOLD, "terminal"]
)
def test_a_run_that_is_stopped_keeps_its_cells_and_goes_on(driver, tmp_path, how, code):
    assert driver.run(tmp_path / "run", how, 9) == code

    before = journal_of(tmp_path / "run")
    assert load(tmp_path / "run" / "journal.jsonl")[1] == []
    there, twice = check_resumed(driver, tmp_path / "run", before)
    # The line that was being written may be cut off again.
    assert 8 <= there < CELLS
    assert twice <= 1
    assert left_over() == []


@pytest.mark.parametrize("most", [3_000, 10_000, 10_100, 17_000])
def test_a_full_disk_ends_the_run_with_every_cell_before_it(driver, tmp_path, most):
    code = driver.run(tmp_path / "run", "full", most)

    before = journal_of(tmp_path / "run")
    said = (tmp_path / "run.error").read_text()
    assert code == 4
    assert "expected room for a line in" in said
    assert "--resume to go on" in said
    assert load(tmp_path / "run" / "journal.jsonl")[1] == []
    there, twice = check_resumed(driver, tmp_path / "run", before)
    assert 0 < there < CELLS
    assert twice <= 1
    assert left_over() == []


def test_a_disk_without_room_for_the_spec_is_refused(driver, tmp_path):
    assert driver.run(tmp_path / "run", "full", 100) == 2

    assert "expected to write into" in (tmp_path / "run.error").read_text()
    assert not [path for path in (tmp_path / "run").iterdir() if path.stat().st_size > 100]
    assert check_resumed(driver, tmp_path / "run", b"") == (0, 0)
