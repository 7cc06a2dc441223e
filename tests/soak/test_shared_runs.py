"""Two runners in one directory, one killed in the middle: the other takes its block over."""

import os
import random
import signal
import subprocess
import sys

import pytest
from driving import CELLS, HERE, ROOT, cells, left_over

from bench.leases.leases import FOLDER
from bench.storage.journal import load


def rounds(place, count, seed):
    """How many cells the one that was killed had measured, round by round."""
    lot, found = random.Random(seed), []
    with subprocess.Popen(
        [sys.executable, str(HERE / "drive_together.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FAULTS": "0"},
    ) as driver:
        for number in range(count):
            directory = place / f"run{number}"
            print(directory, lot.randrange(1, CELLS), number % 2, file=driver.stdin, flush=True)
            codes = [int(code) for code in driver.stdout.readline().split()]
            found.append(checked(directory, codes))
        driver.stdin.close()
    assert left_over() == []
    return found


def checked(directory, codes):
    # The one that is to be killed may have done all that it could by then.
    assert codes in ([-signal.SIGKILL, 0, 0], [0, 0, 0])
    records, notes = load(directory / "journal.jsonl")
    measured = cells(records)
    assert notes == []
    assert len(measured) == len(set(measured)) == CELLS
    assert {record.status for record in records} == {"ok"}
    sgd = {record.session for record in records if record.method == "sgd"}
    assert {record.session for record in records} == sgd
    assert not (directory / FOLDER).exists()
    parts = sorted(directory.glob("journal-*.jsonl"))
    return [path.read_bytes().count(b"\n") for path in parts]


def test_two_rounds(tmp_path):
    assert all(sum(parts) >= CELLS for parts in rounds(tmp_path, 2, seed=3))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_fifty_rounds_in_a_row(tmp_path):
    found = rounds(tmp_path, 50, seed=4)

    print("\nlines of both:", found)
    assert sum(sum(lines > 0 for lines in parts) >= 2 for parts in found) >= 25  # both had a share
