"""What workers of a runner that was killed left behind is found by its mark, and nothing else."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.process.lifeline import MARK, kill_orphans, new_mark

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="marks are looked up in /proc")


def began(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


@pytest.fixture
def ended() -> tuple[int, str]:
    """Number and beginning of a process that is gone."""
    process = subprocess.Popen(["sleep", "60"])
    when = began(process.pid)
    process.kill()
    process.wait()
    return process.pid, when


@pytest.fixture
def zombie() -> Iterator[tuple[int, str]]:
    """Number and beginning of a process that has ended, but was not waited for."""
    process = subprocess.Popen(["sleep", "60"])
    when = began(process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid, when
    process.wait()


def survives(mark: str | None) -> bool:
    """Whether a process of a session of its own, with that mark, is there after the search."""
    environment = {key: value for key, value in os.environ.items() if key != MARK}
    marked = environment if mark is None else {**environment, MARK: mark}
    process = subprocess.Popen(["sleep", "60"], env=marked, start_new_session=True)
    try:
        wait_for_environment(process.pid)
        kill_orphans()
        return process.poll() is None
    finally:
        process.kill()
        process.wait()


def wait_for_environment(pid: int) -> None:
    """Until the new program is there, whose environment counts."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep"):
            return
        time.sleep(0.01)


def test_what_an_ended_runner_left_is_killed(ended: tuple[int, str]) -> None:
    assert not survives(f"{ended[0]}-{ended[1]}-0123456789abcdef")


def test_a_runner_that_nobody_waits_for_has_ended(zombie: tuple[int, str]) -> None:
    assert not survives(f"{zombie[0]}-{zombie[1]}-0123456789abcdef")


def test_a_number_that_was_given_out_again_is_not_the_runner() -> None:
    pid = os.getpid()
    assert not survives(f"{pid}-{int(began(pid)) - 1}-0123456789abcdef")


def test_what_belongs_to_a_runner_that_runs_is_left_alone() -> None:
    assert survives(new_mark())


@pytest.mark.parametrize("mark", [None, "", "unknown", "4000000-0123456789abcdef"])
def test_what_has_no_mark_of_ours_is_left_alone(mark: str | None) -> None:
    assert survives(mark)
