"""Runs that are killed at random moments and resumed: every cell once, none lost.

A block's samples are taken in turn, so a kill costs the block in flight; of cells that a worker
had finished, and reported, at most one is not in the journal yet.
"""

import itertools
import random
import signal
import time

import pytest
from driving import Driver, check_resumed, journal_of, left_over


def killed_runs(place, count, seed):
    """(cells there at the kill, cells finished twice) of so many runs that were killed."""
    moments = random.Random(seed)
    found = []
    with Driver() as driver:
        began = time.monotonic()
        assert driver.run(place / "whole") == 0
        duration = time.monotonic() - began
        for number in itertools.count():
            directory = place / f"run{number}"
            # A run that had ended before it could be killed does not count.
            if driver.run(directory, "SIGKILL", moments.uniform(0.02, duration)) == -signal.SIGKILL:
                found.append(check_resumed(driver, directory, journal_of(directory)))
            if len(found) == count:
                break
    assert left_over() == []
    return found


def test_a_dozen_runs_killed_at_random_moments(tmp_path):
    found = killed_runs(tmp_path, 12, seed=20)

    # The kills fell before, into and behind the measuring.
    assert len({there for there, _ in found}) >= 4
    assert max(twice for _, twice in found) <= 1


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_runs_killed_at_random_moments(tmp_path):
    found = killed_runs(tmp_path, 200, seed=21)

    print("\ncells there at the kill:", sorted(there for there, _ in found))
    print("runs with a cell finished twice:", sum(twice for _, twice in found))
    assert len({there for there, _ in found}) >= 20
    assert max(twice for _, twice in found) <= 1
