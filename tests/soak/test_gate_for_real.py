"""Gates of this project against itself on a machine that is busy with something else."""

import json
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager

import pytest
from source_trees import plant, repository, teleport_bench

GATES = 20
TRIALS = 5
FACTOR = 1.3
CELLS = 10
SLOWED = {f"nullspace:engine=textbook d={d}" for d in (48, 128)}

# Every call of one engine takes 1.3 times as much processor time as before.
SLOWDOWN = f"""

def _slowed(function):
    from time import process_time

    def slowed(self, *arguments):
        start = process_time()
        result = function(self, *arguments)
        if self.engine == "textbook":
            end = start + {FACTOR} * (process_time() - start)
            while process_time() < end:
                pass
        return result

    return slowed


NullSpaceTeleporter.prepare = _slowed(NullSpaceTeleporter.prepare)
NullSpaceTeleporter.advance = _slowed(NullSpaceTeleporter.advance)
"""
ENGINE = "teleport_core/nullspace/teleporter.py"

# Works and rests in turn, each for a random while, on whatever core it is given.
BURSTS = """
import random, sys, time
draw = random.Random(int(sys.argv[1]))
block = list(range(200_000))
while True:
    end = time.monotonic() + draw.uniform(0.05, 0.6)
    while time.monotonic() < end:
        draw.shuffle(block[:2000]); sum(block)
    time.sleep(draw.uniform(0.05, 0.6))
"""


@contextmanager
def background_load(processes=2):
    """As many processes as a small machine has cores, each busy half of the time."""
    command = [sys.executable, "-c", BURSTS]
    started = [subprocess.Popen([*command, str(seed)]) for seed in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def gates(tree, count):
    """Exit code, verdicts and all that was printed, of so many gates under load."""
    for number in range(count):
        out = tree.parent / f"out-{number}"
        with background_load():
            done = teleport_bench(tree, "gate", "--base", "HEAD", "--out", str(out))
        cells = json.loads((out / "gate.json").read_text())["cells"]
        verdicts = {cell["label"]: cell["verdict"] for cell in cells}
        yield done.returncode, verdicts, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_the_same_code_passes(tmp_path):
    tree = repository(tmp_path / "tree")
    found = Counter()
    for code, verdicts, said in gates(tree, GATES):
        assert code == 0, said
        found.update(verdicts.values())

    assert found.total() == GATES * CELLS
    assert found["AMBIGUOUS"] <= 0.1 * found.total(), found


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_planted_slowdown_is_found_and_named(tmp_path):
    tree = repository(tmp_path / "tree")
    plant(tree, ENGINE, SLOWDOWN)

    for code, verdicts, said in gates(tree, TRIALS):
        slower = {label for label, verdict in verdicts.items() if verdict == "SLOWER"}
        assert code == 1, said
        assert slower <= SLOWED, said
