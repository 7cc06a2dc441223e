"""Calls that ranks share on a page: efficiency from pairs of rounds, and refusals in words."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from page_reading import Page

from bench.storage.kinds.ranks_records import RanksCall, RanksRecord
from bench.storage.records import plain
from reports import write_report
from reports.ranks.figures import group
from reports.ranks.tables import ranks_rows

SIZES = {"t": 4, "d": 16, "n": 8, "l": 3}
PLACE = {"model": "mlp", "dataset": "digits", "device": "cpu", "dtype": "float32", **SIZES}
ROUNDS = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]


def record(ranks: int, way: str, scaling: str = "strong", took: float = 1.0, **more: Any) -> Any:
    calls = [
        RanksCall(round=at, seconds=took * slow, prepare_s=0.1, steps_s=0.4 * slow)
        for at, slow in enumerate(ROUNDS)
    ]
    known: dict[str, Any] = {
        "method": "nullspace", "variant": "nullspace", "scaling": scaling, "way": way,
        "ranks": ranks, "samples": 8, "threads": 1, "backend": "gloo", "unit": "u",
        "cell_id": f"{scaling}-{ranks}-{way}", "operations": 1000, "wire_floats": 260,
        "wire_bytes": 1040, "wire_floats_step": 7, "wire_bytes_step": 70, "calls": calls,
    }  # fmt: skip
    return RanksRecord(**{**PLACE, **known, **more})


def test_efficiency_is_paired_by_round_and_divided_by_the_ranks_in_strong_scaling() -> None:
    calls = record(2, "sharded", took=0.8).calls
    found = {
        (row.scaling, row.ranks): row
        for row in ranks_rows(
            [
                record(2, "sharded", calls=calls[:6]),
                record(1, "alone", took=1.2),
                record(1, "alone", "weak", took=1.2),
                record(2, "sharded", "weak", took=1.6),
            ]
        )
    }

    strong, weak = found["strong", 2], found["weak", 2]
    assert strong.efficiency == pytest.approx(1.2 / 0.8 / 2)
    assert (strong.efficiency_low, strong.efficiency_high) == pytest.approx((0.75, 0.75))
    assert weak.efficiency == pytest.approx(1.2 / 1.6)
    assert found["strong", 1].efficiency == pytest.approx(1.0)
    assert (weak.call_s, weak.call_s_low, weak.call_s_high) == pytest.approx((6.4, 1.6, 11.2))
    assert weak.step_s == pytest.approx(0.4)
    assert (strong.calls, weak.calls) == (6, 7)


def test_without_a_single_rank_there_is_no_efficiency() -> None:
    (row,) = ranks_rows([record(2, "sharded")])

    assert row.efficiency != row.efficiency
    assert len(group("", [row]).drawings) == 1


def test_panels_have_what_is_ideal_and_a_curve_a_way() -> None:
    rows = ranks_rows(
        [record(1, "alone", took=4.0), record(2, "sharded", took=2.0), record(2, "replicated")]
    )

    panels = group("here", rows)

    assert [entry.label for entry in panels.legend] == [
        "nullspace, replicated", "nullspace, sharded"
    ]  # fmt: skip
    (strong,) = panels.drawings
    assert strong.svg.count('id="ideal"') == 1
    assert strong.svg.count('id="curve"') == 2
    assert [spot.words.split(" [")[0] for spot in strong.spots[2:]] == [
        "nullspace, sharded: 1 rank, 16.0\N{NO-BREAK SPACE}s",
        "nullspace, sharded: 2 ranks, 8.00\N{NO-BREAK SPACE}s",
    ]
    assert strong.spots[2].x < strong.spots[3].x
    assert "nullspace, sharded: 8.00\N{NO-BREAK SPACE}s on 2." in strong.alt


def test_page_and_file_of_a_run(tmp_path: Path) -> None:
    unknown = {"calls": [], "operations": None, "wire_floats": None, "wire_bytes": None}
    records = [
        record(1, "alone"),
        record(2, "replicated", flags=["more threads than cores: 2 ranks of 1 thread on 1"]),
        record(2, "sharded", refusal="expected a <loss> that splits", **unknown),
        record(4, "sharded", status="crashed", reason="rank 3 of 4: out of luck", **unknown),
    ]
    lines = "".join(f"{json.dumps(plain(each))}\n" for each in records)
    (tmp_path / "journal.jsonl").write_text(lines)

    page = Page(write_report(tmp_path).read_text("utf-8"))

    assert "#ranks" in [attrs["href"] for attrs in page.all("a")]
    assert "nullspace, strong, sharded on 2: expected a <loss> that splits" in page.words
    assert "more threads than cores: 2 ranks of 1 thread on 1" in page.words
    assert "rank 3 of 4: out of luck" in page.words  # among the failures
    with (tmp_path / "ranks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["ranks"], r["way"], r["wire_floats"], r["operations"]) for r in rows] == [
        ("1", "alone", "260", "1000"), ("2", "replicated", "260", "1000"),
        ("2", "sharded", "", ""), ("4", "sharded", "", ""),
    ]  # fmt: skip
    assert (rows[1]["efficiency"], rows[1]["wire_bytes_step"]) == ("0.5", "70")
