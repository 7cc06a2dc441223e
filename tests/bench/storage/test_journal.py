import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

from bench.errors import JournalError
from bench.storage import records
from bench.storage.journal import Journal, lines, load, read
from bench.storage.records import CellRecord, SpectrumRecord, made


def cell(cell_id: str, **facts: Any) -> CellRecord:
    known = {"block_id": "b", "status": "ok", "method": "nullspace", "variant": "nullspace"}
    known |= {"model": "mlp", "dataset": "digits", "device": "cpu", "dtype": "float32"}
    return made({**known, "cell_id": cell_id, **facts}, CellRecord)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(cell("a", operations=3))
        journal.append(cell("b"), cell("c"))
    return tmp_path / "journal.jsonl"


def ids(path: Path) -> list[str | None]:
    return [record.cell_id for record in read(path)]


def test_what_is_written_is_read(path: Path) -> None:
    assert ids(path) == ["a", "b", "c"]
    assert read(path)[0] == cell("a", operations=3)


def test_a_record_is_on_the_disk_before_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    with Journal(tmp_path / "journal.jsonl") as journal:
        monkeypatch.setattr("bench.storage.journal.os.fsync", synced.append)
        journal.append(cell("a"))

        assert len(synced) == 1
        assert ids(tmp_path / "journal.jsonl") == ["a"]


@pytest.mark.parametrize(("written", "kept"), [(1.0, ["a", "b"]), (0.5, ["a"])])
def test_an_interrupt_takes_back_no_line_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: float, kept: list[str]
) -> None:
    """A signal may come when the line is there and the disk is waited for."""

    def interrupted(file: int, data: bytes) -> None:
        os.write(file, data[: int(written * len(data))])
        raise KeyboardInterrupt

    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(cell("a"))
        with monkeypatch.context() as patch:
            patch.setattr("bench.storage.journal.write_all", interrupted)
            with pytest.raises(KeyboardInterrupt):
                journal.append(cell("b"))

    assert ids(tmp_path / "journal.jsonl") == kept


def test_floats_come_back_bit_for_bit_and_nan_as_null(tmp_path: Path) -> None:
    values = [
        0.1,
        1 / 3,
        math.pi * 1e-300,
        -0.0,
        5e-324,
        1.7976931348623157e308,
        math.nan,
        math.inf,
    ]
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(SpectrumRecord(model="m", dataset="d", eigenvalues=[*values]))

    (record,) = read(tmp_path / "journal.jsonl")
    assert isinstance(record, SpectrumRecord)
    back = record.eigenvalues

    assert [struct_bits(v) for v in back[:6]] == [struct_bits(v) for v in values[:6]]
    assert back[6:] == [None, None]


def struct_bits(value: float | None) -> str:
    return float(value or 0.0).hex() if value is not None else ""


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_torn_last_line_is_dropped_with_a_note_and_written_over(path: Path, cut: int) -> None:
    path.write_bytes(path.read_bytes()[:-cut])

    records, notes = load(path)

    assert [record.cell_id for record in records] == ["a", "b"]
    assert "line 3 was cut short" in notes[0]
    with Journal(path) as journal:
        journal.append(cell("d"))
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
        ('{"schema": 1, "kind": "cell"}', "record 4 of .* a cell record; .*missing required"),
        ('{"schema": 1, "kind": "cell", "cell_id": []}', r"got `array` - at `\$.cell_id`: restore"),
        (
            '{"schema": 1, "kind": "spectrum", "unit": {}}',
            r"expected record 4 .*`str.* at `\$.unit`",
        ),
        ('{"schema": 1, "kind": "spectrum", "of": "2"}', r"expected record 4 .*`int.* at `\$.of`"),
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


def test_a_kind_that_nobody_knows_is_left_out_with_a_note_and_stays_in_the_file(path: Path) -> None:
    with Journal(path) as journal:
        journal.append({"kind": "magic", "x": 1}, {"kind": "magic", "x": 2})

    records, notes = load(path)

    assert len(records) == 3
    assert notes == [
        "journal.jsonl: 2 of kind 'magic' left out, which no measurement installed here knows"
    ]
    assert [line["x"] for line in lines(path)[0][3:]] == [1, 2]


def test_a_journal_of_an_earlier_version_is_brought_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 0 called the variant "name"."""

    def up(line: dict[str, Any]) -> dict[str, Any]:
        return {**line, "schema": 1, "variant": line["name"]}

    text = path.read_text().replace('"variant"', '"name"').replace('"schema":1', '"schema":0')
    path.write_text(text)
    with pytest.raises(JournalError, match=r"expected schema 1 on line 1 of .*; got 0"):
        read(path)

    monkeypatch.setitem(records.UPGRADES, 0, up)

    assert read(path) == [cell("a", operations=3), cell("b"), cell("c")]


def test_what_is_not_known_is_not_written(path: Path) -> None:
    line = json.loads(path.read_text().splitlines()[0])

    assert "null_dims" not in line
    assert (line["operations"], line["reason"], line["flags"]) == (3, "", [])


def test_what_json_alone_takes_is_read_as_ever(path: Path) -> None:
    line = path.read_text().splitlines()[0].replace('"cell_id":"a"', '"cell_id":"\\ud800"')
    path.write_text(line[:-1] + ',"stop":{"half_width":NaN,"effective_samples":1E400}}\n')

    (found,) = read(path)

    assert (found.cell_id, found.stop.effective_samples) == ("\ud800", math.inf)
    assert math.isnan(found.stop.half_width)
