"""A run whose records are in a file of each runner."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.errors import JournalError
from bench.storage.journal import Journal, load, name_of, read
from bench.storage.record import FailureRecord
from bench.storage.records import CellRecord, ReferenceRecord, made
from reports.run.run import load as load_run


def cell(cell_id: str, method: str = "nullspace", **facts: Any) -> CellRecord:
    known = {"block_id": "b", "status": "ok", "method": method, "variant": method}
    known |= {"model": "mlp", "dataset": "digits", "device": "cpu", "dtype": "float32"}
    return made({**known, "cell_id": cell_id, **facts}, CellRecord)


def write(directory: Path, owner: str | None, *records: Any) -> Path:
    with Journal(directory / (name_of(owner) if owner else "journal.jsonl")) as journal:
        journal.append(*records)
    return journal.path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The path that all readers are given."""
    return write(tmp_path, None)


def told(path: Path) -> list[tuple[str, str | None, str | None]]:
    return [(type(r).__name__[:4], r.cell_id, getattr(r, "session", None)) for r in read(path)]


def test_the_files_of_all_runners_are_read(tmp_path: Path, whole: Path) -> None:
    write(tmp_path, "two", cell("c"))
    write(tmp_path, "one", cell("b"))
    write(tmp_path, None, cell("a"))

    assert [record.cell_id for record in read(whole)] == ["a", "b", "c"]
    assert [record.cell_id for record in load_run(tmp_path).cells] == ["a", "b", "c"]


def test_of_a_cell_that_two_measured_the_first_file_counts(tmp_path: Path, whole: Path) -> None:
    """And what was timed beside the SGD that does not count still has it."""
    write(tmp_path, "two", cell("s", "sgd", session="2"), cell("a", session="2"))
    write(tmp_path, "two", cell("b", session="2"))
    write(tmp_path, "one", cell("s", "sgd", session="1"), cell("a", session="1"))

    assert told(whole) == [
        ("Cell", "s", "1"),
        ("Cell", "a", "1"),
        ("Refe", "s", "2"),
        ("Cell", "b", "2"),
    ]
    partners = load_run(tmp_path).partners
    assert {name: sgd.session for name, sgd in partners.items()} == {"s": "1", "a": "1", "b": "2"}
    assert isinstance(partners["b"], ReferenceRecord)


def test_units_beside_the_clock_count_once_too(tmp_path: Path, whole: Path) -> None:
    failure = made({"cell_id": "u-1", "unit": "u"}, FailureRecord)
    for owner in ("one", "two"):
        write(tmp_path, owner, failure)

    assert len(read(whole)) == 1
    write(tmp_path, None, failure, failure)  # one runner that did it twice: the last counts
    assert len(read(whole)) == 2


def test_a_line_that_a_runner_is_writing_is_left_alone(tmp_path: Path, whole: Path) -> None:
    path = write(tmp_path, "one", cell("a"), cell("b"))
    path.write_bytes(path.read_bytes()[:-20])

    assert [record.cell_id for record in load(whole)[0]] == ["a"]
    assert load(whole)[1] == []


def test_a_damaged_line_is_named_with_its_file(tmp_path: Path, whole: Path) -> None:
    path = write(tmp_path, "one", cell("a"))
    path.write_text(path.read_text() + "{\n")

    with pytest.raises(JournalError, match=r"line 2 of .*journal-one\.jsonl"):
        load(whole)
    path.write_text(json.dumps({"schema": 1, "kind": "cell", "cell_id": "x"}) + "\n")
    with pytest.raises(JournalError, match=r"record 1 of .*journal-one\.jsonl"):
        load(whole)
