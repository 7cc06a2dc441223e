"""What a record may hold, and what is said of one that holds something else."""

from typing import Any

import pytest

from bench.errors import JournalError
from bench.storage.records import CellRecord, ProfileRecord, plain, typed

CELL: dict[str, Any] = {
    "schema": 1,
    "kind": "cell",
    "cell_id": "a",
    "block_id": "b",
    "status": "ok",
    "method": "nullspace",
    "variant": "nullspace",
    "model": "mlp",
    "dataset": "digits",
    "device": "cpu",
    "dtype": "float32",
}


def test_a_line_is_a_struct_and_a_line_again() -> None:
    line = {**CELL, "t": 2, "samples": [{"round": 0, "clock": "wall", "seconds": 0.1}]}
    record = typed(line, 1)
    assert isinstance(record, CellRecord)
    assert record.samples[0].seconds == 0.1
    again = typed(plain(record), 1)
    assert again == record


def test_a_journal_from_before_whole_calls_were_timed_reads_on() -> None:
    record = typed(CELL, 1)
    assert isinstance(record, CellRecord)
    assert (record.calls, record.call_note) == ([], "")
    later = typed({**CELL, "calls": [{"seconds": 0.25, "sgd_s": 0.125}]}, 1)
    assert isinstance(later, CellRecord)
    assert [(call.seconds, call.sgd_s) for call in later.calls] == [(0.25, 0.125)]


def test_null_is_the_same_as_nothing() -> None:
    assert typed({**CELL, "guarantee": None, "stop": None, "flags": None}, 1) == typed(CELL, 1)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("steps_done", -1, r">= 0.*steps_done"),
        ("steps_done", 2**53 + 1, r"<= 9007199254740992.*steps_done"),
        ("steps_done", True, r"Expected `int`, got `bool`.*steps_done"),
        ("peak_memory_bytes", 1.5, r"Expected `int.*peak_memory_bytes"),
        ("t", 0, r">= 1.*\.t"),
        ("variant", 3, r"Expected `str`, got `int`.*variant"),
        ("samples", [{"round": -1}], r">= 0.*samples.0.\.round"),
        ("samples", [{"seconds": "1"}], r"samples"),
        ("null_dims", {"0.weight": [-1]}, r">= 0.*null_dims"),
        ("flags", [1], r"flags"),
        ("calls", [{"seconds": 0.1}], r"missing required field `sgd_s`.*calls.0"),
        ("calls", [{"seconds": 0.1, "sgd_s": "1"}], r"calls.0.\.sgd_s"),
    ],
)
def test_a_value_that_it_may_not_hold_is_named(field: str, value: object, words: str) -> None:
    with pytest.raises(JournalError, match=rf"record 7 of the journal.*cell record; .*{words}"):
        typed({**CELL, field: value}, 7)


@pytest.mark.parametrize("absent", [name for name in CELL if name not in ("schema", "kind")])
def test_a_field_that_it_must_have_is_named(absent: str) -> None:
    with pytest.raises(JournalError, match=f"missing required field `{absent}`"):
        typed({name: value for name, value in CELL.items() if name != absent}, 1)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "profiles/../x", "profiles/a/..", "profiles/..", "other/x", "profiles/"]
)
def test_a_trace_lies_in_the_run_directory(path: str) -> None:
    profile = {k: v for k, v in CELL.items() if k != "block_id"} | {"kind": "profile"}
    assert isinstance(typed({**profile, "raw_trace": "profiles/raw/a..b.gz"}, 1), ProfileRecord)
    with pytest.raises(JournalError, match="raw_trace"):
        typed({**profile, "raw_trace": path}, 1)


def test_a_kind_that_nobody_knows_is_no_record() -> None:
    assert typed({**CELL, "kind": "unheard of"}, 1) is None
