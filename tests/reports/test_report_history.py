"""The section with the series of every cell."""

import random
from dataclasses import replace

import pytest
import synthetic_run
from outcomes import outcome
from page_reading import Page
from typer.testing import CliRunner

from bench.cli.app import app
from bench.comparison.history import NAME, append, entry_of
from bench.errors import JournalError
from reports import write_report
from reports.history.series import shifts

GATES = 24
CELL = "SLOWER"


def history(path, step=1.0, noise=0.02):
    """Gates of which the second half is ``step`` times as slow in one cell."""
    rng = random.Random(1)
    for number in range(GATES):
        entry = entry_of(replace(outcome(), when=1.8e9 + 86400 * number, head=f"commit{number}"))
        for cell in entry["cells"].values():
            if cell["head_median"] is not None:
                late = cell["verdict"] == CELL and number >= GATES // 2
                cell["head_median"] *= (step if late else 1) * (1 + noise * rng.gauss(0, 1))
        append(path, entry)
    return path


def steps(found):
    return {row[0].text.split()[0]: row[4].text for row in found.table.rows}


def test_a_step_is_shown_in_its_cell_alone(tmp_path):
    found = shifts(history(tmp_path / NAME, step=1.3))

    assert found.gates == GATES
    assert {name for name, text in steps(found).items() if text != "none"} == {CELL}
    first = found.table.rows[0]
    assert first[0].text.startswith(CELL)
    assert first[4].text.startswith("+")
    assert 27 < 100 * first[4].value < 33
    assert "commit12" in first[5].text
    assert "1 step" in found.figures[0][1].alt


def test_noise_shows_none(tmp_path):
    assert set(steps(shifts(history(tmp_path / NAME))).values()) == {"none"}


def test_the_page_of_a_run_has_the_section(tmp_path):
    run = synthetic_run.write(tmp_path / "run", synthetic_run.records())
    file = history(tmp_path / "elsewhere.jsonl", step=1.3)
    done = CliRunner().invoke(app, ["report", str(run), "--history", str(file)])
    assert done.exit_code == 0, done.output
    page = Page((run / "report.html").read_text(encoding="utf-8"))

    assert "history" in [attrs.get("id") for attrs in page.all("section")]
    assert f"in {GATES} gates" in page.words
    assert "a|b_<script>`x`" in page.words  # as text: a tag would not be among the words


def test_a_history_that_is_not_there_is_an_error(tmp_path):
    run = synthetic_run.write(tmp_path / "run", synthetic_run.records())
    with pytest.raises(JournalError, match="expected a journal at"):
        write_report(run, tmp_path / "nothing.jsonl")


def test_a_history_in_the_directory_is_found_and_none_is_no_section(tmp_path):
    run = synthetic_run.write(tmp_path / "run", synthetic_run.records())
    before = Page(write_report(run).read_text(encoding="utf-8"))
    history(run / NAME)
    after = Page(write_report(run).read_text(encoding="utf-8"))

    assert "history" not in [attrs.get("id") for attrs in before.all("section")]
    assert "history" in [attrs.get("id") for attrs in after.all("section")]
