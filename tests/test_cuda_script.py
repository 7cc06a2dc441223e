"""The script for machines with a GPU, tried without one: every part runs and leaves its files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.long
def test_every_part_ends_and_none_stops_the_others(tmp_path: Path) -> None:
    settings = {"DEVICE": "cpu", "DATASET": "digits", "LIMIT": "30", "PYTHON": sys.executable}
    done = subprocess.run(
        [ROOT / ".ci" / "cuda", tmp_path / "cpu"],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )

    assert done.returncode == 0, done.stderr
    summary = (tmp_path / "cpu" / "summary.txt").read_text()
    parts = [line.split()[1] for line in summary.splitlines() if line.startswith("== ")]
    assert parts[:5] == ["tests:", "engine:", "figure3:", "report:", "profile:"]
    assert "== tests: exit 0" in summary
    assert "== report: exit 0" in summary
    assert len(summary.splitlines()) <= 60
    rows = (tmp_path / "cpu" / "engine.csv").read_text().splitlines()
    assert rows[0].startswith("d,n,l,rounds,sgd_s")
    assert len(rows) >= 2
    assert json.loads((tmp_path / "cpu" / "environment.json").read_text())["device"] == "cpu"
    assert (tmp_path / "cpu" / "runtime.csv").exists()
