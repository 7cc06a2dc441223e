"""The file of gate results, and the series in it."""

import fcntl
import threading
from dataclasses import replace

import pytest
from outcomes import outcome

from bench.comparison.history import append, entry_of, load, series_of
from bench.errors import JournalError, RunError

TIMED = 4  # of eight verdicts; the others have no time of head


def test_lines_are_appended_and_come_back_by_age(tmp_path):
    path = tmp_path / "new" / "history.jsonl"
    for when in (3.0, 1.0, 2.0):
        append(path, entry_of(replace(outcome(), when=when)))

    assert [entry["when"] for entry in load(path)] == [1.0, 2.0, 3.0]
    assert load(path)[0]["exit_code"] == 1
    assert len(path.read_text().splitlines()) == 3


def test_a_gate_waits_for_another_that_is_writing(tmp_path):
    path = tmp_path / "history.jsonl"
    with (tmp_path / ".history.jsonl.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = threading.Thread(target=append, args=(path, entry_of(outcome())))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        assert not path.exists()
    waiting.join()

    assert len(load(path)) == 1


def test_a_series_a_cell():
    entries = [entry_of(replace(outcome(), when=float(i), head=f"commit {i}")) for i in range(3)]
    found = series_of(entries)

    assert len(found) == TIMED
    assert {tuple(each.heads) for each in found} == {("commit 0", "commit 1", "commit 2")}
    slower = next(each for each in found if each.label.startswith("SLOWER"))
    assert slower.seconds == pytest.approx([0.0026] * 3)


@pytest.mark.parametrize("name", ["environment", "benchmark"])
def test_another_machine_or_benchmark_begins_another_series(name):
    entries = [entry_of(outcome()), entry_of(replace(outcome(), **{name: "another"}))]

    assert {len(each.seconds) for each in series_of(entries)} == {1}
    assert len(series_of(entries)) == 2 * TIMED


def test_what_cannot_be_read_or_written_is_an_error(tmp_path):
    with pytest.raises(JournalError, match="expected a journal at"):
        load(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="choose another --history"):
        append(tmp_path / "file" / "history.jsonl", entry_of(outcome()))
