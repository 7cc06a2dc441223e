"""Runs that are ended in one way or another, and what must be true of them afterwards."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench.process.lifeline import MARK
from bench.storage.journal import load
from bench.storage.records import cells_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CELLS = 40


class Driver:
    """``drive.py`` as a process."""

    def __init__(self, faults=0.0, lot=""):
        """``faults``: the share of cells that end in one; ``lot`` decides which."""
        self._variables = {"PYTHONPATH": str(ROOT), "FAULTS": str(faults), "LOT": lot}

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "drive.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, **self._variables},
        )
        return self

    def __exit__(self, *_):
        self.process.communicate()

    def run(self, directory, how="unharmed", value=0.0):
        """Exit code of a run that is begun or resumed in ``directory``; see ``drive.py``."""
        self.process.stdin.write(f"{directory} {how} {value}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def cells(records):
    return [record.cell_id for record in cells_of(records)]


def journal_of(directory):
    path = directory / "journal.jsonl"
    return path.read_bytes() if path.exists() else b""


def check_resumed(driver, directory, before):
    """Resume a run whose journal was ``before``; (cells there before, cells finished twice)."""
    path = directory / "journal.jsonl"
    there = cells(load(path)[0]) if before else []
    finished_before = _finished(directory)
    assert driver.run(directory) == 0
    records, notes = load(path)

    assert notes == []
    assert path.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    counts = Counter(cells(records))
    assert set(counts.values()) == {1}
    assert len(counts) == CELLS
    _every_session_has_its_sgd(records)
    finished = _finished(directory)
    assert set(finished) <= set(counts)
    assert all(finished[cell] == finished_before[cell] for cell in there)
    twice = [cell for cell, times in finished.items() if times > 1]
    return len(there), len(twice)


def _finished(directory):
    """How often each cell was finished by a worker, whatever became of it then."""
    witness = Path(f"{directory}.witness")
    return Counter(witness.read_text().split() if witness.exists() else [])


def _every_session_has_its_sgd(records):
    fine = [record for record in records if record.status == "ok"]
    measured = {record.session for record in fine if record.method != "sgd"}
    assert measured <= {record.session for record in fine if record.method == "sgd"}


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
