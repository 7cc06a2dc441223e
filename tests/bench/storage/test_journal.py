import json
import math
from pathlib import Path

import pytest

from bench.errors import JournalError
from bench.storage.journal import Journal, load, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append({"kind": "cell", "cell_id": "a", "x": 0.1})
        journal.append({"kind": "cell", "cell_id": "b"}, {"kind": "cell", "cell_id": "c"})
    return tmp_path / "journal.jsonl"


def ids(path: Path) -> list[str]:
    return [record["cell_id"] for record in read(path)]


def test_what_is_written_is_read(path: Path) -> None:
    assert ids(path) == ["a", "b", "c"]
    assert read(path)[0] == {"schema": 1, "kind": "cell", "cell_id": "a", "x": 0.1}


def test_a_record_is_on_the_disk_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    with Journal(tmp_path / "journal.jsonl") as journal:
        monkeypatch.setattr("bench.storage.journal.os.fsync", synced.append)
        journal.append({"kind": "cell", "cell_id": "a"})

        assert len(synced) == 1
        assert ids(tmp_path / "journal.jsonl") == ["a"]


def test_floats_come_back_bit_for_bit_and_nan_as_null(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, math.pi * 1e-300, -0.0, math.nan, math.inf]
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append({"kind": "cell", "cell_id": "a", "values": values})

    back = read(tmp_path / "journal.jsonl")[0]["values"]

    assert [struct_bits(v) for v in back[:4]] == [struct_bits(v) for v in values[:4]]
    assert back[4:] == [None, None]


def struct_bits(value: float) -> str:
    return float(value).hex()


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_torn_last_line_is_dropped_with_a_note_and_written_over(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])

    records, notes = load(path)

    assert [record["cell_id"] for record in records] == ["a", "b"]
    assert "line 3 was cut short" in notes[0]
    with Journal(path) as journal:
        journal.append({"kind": "cell", "cell_id": "d"})
    assert ids(path) == ["a", "b", "d"]


def test_a_damaged_earlier_line_is_an_error_that_names_it(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[1][:-9] + "\n" + lines[2])

    with pytest.raises(JournalError, match=r"expected JSON on line 2 of .*; .*restore the file"):
        read(path)


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("[1]", "expected an object with a 'kind' on line 4"),
        ('{"schema": 1}', "expected an object with a 'kind' on line 4"),
        ('{"schema": 99, "kind": "cell"}', "expected schema 1 on line 4 of .*; got 99"),
        ('{"schema": 1, "kind": "cell"}', "expected cell_id on line 4 .* a text; got None"),
        ('{"schema": 1, "kind": "cell", "cell_id": []}', r"expected cell_id .*; got \[\]: restore"),
        ('{"schema": 1, "kind": "spectrum", "unit": {}}', "expected unit on line 4 .* a text"),
        ('{"schema": 1, "kind": "x", "unit": "a", "of": "2"}', "of on line 4 .* a whole number"),
        ("[" * 100_000, "expected JSON on line 4"),
        ('"\\ud800', "expected JSON on line 4"),
    ],
)
def test_lines_that_are_no_records(path: Path, line: str, text: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")

    with pytest.raises(JournalError, match=text):
        read(path)


def test_bytes_that_are_no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\n" + path.read_bytes())

    with pytest.raises(JournalError, match="expected JSON on line 1"):
        read(path)


def test_no_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"expected a journal at .*; there is none: name a dir"):
        read(tmp_path / "journal.jsonl")


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"expected to write .*choose another --out"):
        Journal(tmp_path / "absent" / "journal.jsonl")


def test_a_line_is_plain_json(path: Path) -> None:
    assert all(json.loads(line)["kind"] == "cell" for line in path.read_text().splitlines())
