"""Every figure of docs/costs.md is that of a recorded run."""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "costs.md"

AT_BASE = {"t": "8", "n": "32", "l": "3"}


@pytest.mark.parametrize(("table", "machine"), [(0, "amd-epyc-2-cores"), (1, "nvidia-h200")])
def test_the_costs_of_the_page_are_those_of_the_recorded_run(table: int, machine: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    cell = r" ([\d.]+) \[([\d.]+), ([\d.]+)\] \|"
    both = re.findall(rf"^\| (\d+) \|{cell * 3}$", text, flags=re.MULTILINE)
    written = both[4 * table :][:4]
    recorded = ROOT / "results" / machine / "ratios.csv"
    with recorded.open(encoding="utf-8", newline="") as file:
        rows = {
            (row["d"], row["variant"]): row
            for row in csv.DictReader(file)
            if AT_BASE.items() <= row.items() and row["b"] in ("1", "8")
        }
    columns = {
        "sgd": "step",
        "nullspace:engine=textbook": "call",
        "symmetry:published=true": "call",
    }

    assert [row[0] for row in written] == ["256", "512", "1024", "2048"]
    for d, *figures in written:
        found = [
            f"{float(rows[d, variant][f'{measure}_ratio{end}']):#.3g}".rstrip(".")
            for variant, measure in columns.items()
            for end in ("", "_low", "_high")
        ]
        assert found == figures


def test_the_milliseconds_of_the_page_are_those_of_the_gpu() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    (written,) = re.findall(
        r"at d = 1024: preparing a batch ([\d.]+), eight steps ([\d.]+) \(([\d.]+) without the "
        r"graph\), an SGD step ([\d.]+), and ([\d.]+) for `teleport_core.teleport`",
        text,
    )
    with (ROOT / "results" / "nvidia-h200" / "engine.csv").open(newline="") as file:
        row = next(
            r for r in csv.DictReader(file) if (r["d"], r["n"], r["l"]) == ("1024", "32", "3")
        )
    times = [("prepare_s", 1), ("step_s", 8), ("eager_step_s", 8), ("sgd_s", 1), ("call_s", 1)]

    assert list(written) == [f"{1e3 * steps * float(row[name]):.1f}" for name, steps in times]


def test_the_memory_of_the_page_is_that_of_the_recorded_run() -> None:
    text = PAGE.read_text(encoding="utf-8")
    four = r"([\d.]+), ([\d.]+), ([\d.]+) and ([\d.]+)"
    line = rf"in MB: {four} for `nullspace`, {four} for\s+SGD"
    (written,) = re.findall(line, text)
    with (ROOT / "results" / "amd-epyc-2-cores" / "runtime.csv").open(newline="") as file:
        rows = {(row["variant"], int(row["d"])): row for row in csv.DictReader(file)}
    widths = (256, 512, 1024, 2048)
    peaks = [
        float(rows[variant, d]["peak_memory_bytes"]) / 1e6
        for variant in ("nullspace", "sgd")
        for d in widths
    ]

    assert list(written) == [f"{peak:#.2g}".rstrip(".") for peak in peaks]


def test_the_whole_calls_of_the_page_are_those_of_the_recorded_run() -> None:
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"^\| (\d+) wide \| (.+) \|$", text, flags=re.MULTILINE)
    with (ROOT / "results" / "amd-epyc-2-cores" / "runtime.csv").open(newline="") as file:
        rows = {(row["d"], row["variant"]): row for row in csv.DictReader(file)}
    assert [d for d, _ in found] == ["256", "512", "1024", "2048"]
    variants = ("nullspace", "nullspace:engine=textbook", "symmetry:published=true")
    for d, line in found:
        for variant, cell in zip(variants, line.split(" | "), strict=True):
            row = rows[d, variant]
            seconds, unit, steps = re.findall(r"^([\d.]+) (m?s), ([\d.]+)", cell)[0]
            size = 1e3 if unit == "ms" else 1.0
            assert seconds == f"{size * float(row['call_s']):#.3g}".rstrip(".")
            assert steps == f"{float(row['call_sgd_steps']):#.3g}".rstrip(".")
