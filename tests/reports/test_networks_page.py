"""Methods on networks on a page: medians over the SGD steps beside them, and refusals in words."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from page_reading import Page

from bench.storage.kinds.network_records import NetworkRecord, TimedStep
from bench.storage.records import WholeCall, plain
from reports import write_report
from reports.networks.tables import network_rows

PLACE = {"dataset": "digits", "device": "cpu", "dtype": "float32"}


def record(variant: str, model: str = "mlp", **more: Any) -> NetworkRecord:
    ratios = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    known: dict[str, Any] = {
        "method": variant, "variant": variant, "model": model, "cell_id": f"{model}-{variant}",
        "steps": [TimedStep(prepare_s=3e-3, step_s=1e-3 * r, sgd_s=1e-3) for r in ratios],
        "calls": [WholeCall(seconds=2e-3 * r, sgd_s=1e-3) for r in ratios],
        "peak_memory_bytes": 2_000_000, "growth": 256.0, "moved": 8, "drift": 1e-9,
        "heldout_drift": 0.25, "guarantee": "EXACT_ON_BATCH", "teleport_status": "DONE",
    }  # fmt: skip
    return NetworkRecord(**{**PLACE, **known, **more})


REFUSED = {"steps": [], "calls": [], "growth": None, "drift": None, "heldout_drift": None}


def test_costs_are_ratios_to_the_steps_beside_and_gain_is_for_equal_cost() -> None:
    (row,) = network_rows([record("nullspace")])

    assert (row.step_sgd_steps, row.step_sgd_steps_low, row.step_sgd_steps_high) == pytest.approx(
        (4.0, 1.0, 7.0)
    )
    assert row.prepare_sgd_steps == pytest.approx(3.0)
    assert row.call_sgd_steps == pytest.approx(8.0)
    assert row.growth_per_sgd_step == pytest.approx(2.0)  # 2^8 = 256
    assert (row.steps, row.peak_memory_bytes) == (7, 2_000_000)


def test_page_and_file_of_a_run(tmp_path: Path) -> None:
    records = [
        record("nullspace"),
        record("so2", refusal="expected a <point>; got an MLP", **REFUSED),
        record("nullspace", "cnn", growth=1.0, moved=0, teleport_status="NO_NULL_SPACE"),
        record("gauge", "cnn", status="crashed", reason="out of luck", **REFUSED),
    ]
    lines = "".join(f"{json.dumps(plain(each))}\n" for each in records)
    (tmp_path / "journal.jsonl").write_text(lines)

    page = Page(write_report(tmp_path).read_text("utf-8"))

    assert "#networks" in [attrs["href"] for attrs in page.all("a")]
    assert "so2: expected a <point>; got an MLP" in page.words
    assert "no null space" in page.words
    assert "exact on batch" in page.words
    assert "out of luck" in page.words  # among the failures
    with (tmp_path / "networks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["model"], r["variant"], r["growth"]) for r in rows] == [
        ("mlp", "nullspace", "256.0"), ("mlp", "so2", ""), ("cnn", "nullspace", "1.0"),
        ("cnn", "gauge", ""),
    ]  # fmt: skip
