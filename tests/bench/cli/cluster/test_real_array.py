"""Twelve blocks on a real cluster of one node, with real workers and a real report."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from one_node_cluster import OneNode, processes_of
from submissions import Called

from bench.slurm.ledger import Place

RAISING, SEGFAULTING, CANCELLED = 10, 14, 20
TWELVE = tuple(range(8, 32, 2))

FACTORY = f"""
import ctypes, os, subprocess, time
from torch import nn, rand, randint

def factory(d, n, seed):
    if d == {RAISING}:
        raise RuntimeError("no such width today")
    if d == {SEGFAULTING}:
        ctypes.string_at(0)
    if d == {CANCELLED}:
        job, task = os.environ["SLURM_ARRAY_JOB_ID"], os.environ["SLURM_ARRAY_TASK_ID"]
        subprocess.run(["scancel", f"{{job}}_{{task}}"])
        time.sleep(600)
    model = nn.Sequential(nn.Linear(6, d), nn.ReLU(), nn.Linear(d, 3))
    return model, nn.functional.cross_entropy, [(rand(n, 6), randint(0, 3, (n,)))]
"""


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nine_of_twelve_are_measured_and_three_tried_twice(
    command: Called, cluster: OneNode, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(FACTORY)
    (tmp_path / "slurm.toml").write_text('partition = "main"\ntime = "30"\nparallel = 2\n')
    sweep = ("--axis", f"d={','.join(map(str, TWELVE))}", "--axis", "t=1", "--axis", "n=4")

    code, printed, errors = command(
        "run", "--preset", "smoke", "--model", "mine.py:factory", "--method", "nullspace",
        *sweep, "--on", "slurm.toml", "--out", "run",
    )  # fmt: skip

    assert code == 4, errors
    assert Path(printed.strip()).stat().st_size > 10_000
    with (tmp_path / "run" / "runtime.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_width = {d: {row["status"] for row in rows if row["d"] == str(d)} for d in TWELVE}
    bad = {RAISING: {"crashed"}, SEGFAULTING: {"crashed"}, CANCELLED: {"cancelled"}}
    assert by_width == {d: bad.get(d, {"ok"}) for d in TWELVE}
    reasons = {int(row["d"]): row["reason"] for row in rows}
    assert "no such width today" in reasons[RAISING]
    assert "SIGSEGV" in reasons[SEGFAULTING]
    assert re.search(r"task \d+_\d+ of SLURM CANCELLED", reasons[CANCELLED])

    ledger = Place(tmp_path / "run").read()
    tried = Counter(part for submission in ledger.submissions for part in submission.parts)
    assert Counter(tried.values()) == {1: 9, 2: 3}
    code, printed, _ = command("status", "run")
    assert code == 4
    assert printed.startswith("12 parts: 9 measured, 2 FAILED, 1 CANCELLED\n")
    assert cluster.asked("squeue", "-h") == ""
    assert processes_of(tmp_path) == []
