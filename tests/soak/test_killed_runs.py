"""Runs that are killed at random moments and resumed: every cell once, none lost.

A block's samples are taken in turn, so a kill costs the block in flight; of cells that a worker
had finished, and reported, at most one is not in the journal yet.
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from bench.journal import load
from bench.lifeline import MARK

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class Driver:
    """``drive.py`` as a process."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "drive.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return self

    def __exit__(self, *_):
        self.process.communicate()

    def run(self, directory, kill_after=0.0):
        """Exit code of a run that is begun or resumed in ``directory``."""
        self.process.stdin.write(f"{directory} {kill_after}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def cells(records):
    return [record["cell_id"] for record in records if record["kind"] == "cell"]


def trial(driver, directory, moment):
    """Kill a run, resume it; (cells there at the kill, cells that were finished twice).

    None for a run that had ended before it could be killed.
    """
    if driver.run(directory, moment) != -signal.SIGKILL:
        return None
    path = directory / "journal.jsonl"
    before = path.read_bytes() if path.exists() else b""
    there = cells(load(path)[0]) if before else []
    assert driver.run(directory) == 0
    records, notes = load(path)

    assert notes == []
    whole = before[: before.rfind(b"\n") + 1]
    assert path.read_bytes().startswith(whole)
    counts = Counter(cells(records))
    assert set(counts.values()) == {1}
    assert len(counts) == 40
    _every_session_has_its_sgd(records)
    finished = Counter(Path(f"{directory}.witness").read_text().split())
    assert set(finished) == set(counts)
    twice = [cell for cell, times in finished.items() if times > 1]
    assert len(twice) <= 1
    assert not set(twice) & set(there)
    return len(there), len(twice)


def _every_session_has_its_sgd(records):
    measured = {record["session"] for record in records if record["method"] != "sgd"}
    assert measured <= {record["session"] for record in records if record["method"] == "sgd"}


def killed_runs(place, count, seed):
    """The outcomes of so many runs that were killed."""
    moments = random.Random(seed)
    found = []
    with Driver() as driver:
        began = time.monotonic()
        assert driver.run(place / "whole") == 0
        duration = time.monotonic() - began
        for number in itertools.count():
            outcome = trial(driver, place / f"run{number}", moments.uniform(0.02, duration))
            found += [outcome] if outcome else []
            if len(found) == count:
                break
    assert left_over() == []
    return found


def left_over():
    """Workers of anybody that nobody waits for any more."""
    marked = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            here = f"{MARK}=".encode() in (entry / "environ").read_bytes()
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        if here and parent == 1:
            marked.append(int(entry.name))
    return marked


def test_a_dozen_runs_killed_at_random_moments(tmp_path):
    found = killed_runs(tmp_path, 12, seed=20)

    # The kills fell before, into and behind the measuring.
    assert len({there for there, _ in found}) >= 4


@pytest.mark.long
def test_two_hundred_runs_killed_at_random_moments(tmp_path):
    found = killed_runs(tmp_path, 200, seed=21)

    print("\ncells there at the kill:", sorted(there for there, _ in found))
    print("runs with a cell finished twice:", sum(twice for _, twice in found))
    assert len({there for there, _ in found}) >= 20
