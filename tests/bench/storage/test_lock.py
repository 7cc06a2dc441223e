import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import RunError
from bench.storage.lock import NAME, locked

ROOT = Path(__file__).parents[3]

HOLD = """
import sys, time
from pathlib import Path
from bench.storage.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(directory: Path) -> subprocess.Popen[str]:
    """Another process that holds the directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        with pytest.raises(RunError, match=rf"process {process.pid} is running in it: wait"):
            locked(tmp_path).__enter__()
    finally:
        end(process)


def test_the_lock_of_a_killed_process_is_taken_over_with_a_note(tmp_path: Path) -> None:
    process = holder(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    end(process)

    with locked(tmp_path) as note:
        assert note == f"the lock of process {process.pid}, which was killed, is stale and " + (
            "was taken over"
        )


def test_a_lock_that_was_released_leaves_no_note(tmp_path: Path) -> None:
    with locked(tmp_path) as first:
        assert first is None
        with pytest.raises(RunError, match="is running in it"):
            locked(tmp_path).__enter__()
    with locked(tmp_path) as note:
        assert note is None


def test_an_error_releases_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        raise ZeroDivisionError
    with locked(tmp_path) as note:
        assert note is None


def test_what_stands_in_the_lock_file_is_only_read_as_a_number(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"\x1b[31m" * 1000)

    with locked(tmp_path) as note:
        assert note is None


def test_a_lock_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / NAME).symlink_to(tmp_path / "outside")

    with pytest.raises(RunError, match="expected to write into"):
        locked(tmp_path / "run").__enter__()
    assert not (tmp_path / "outside").exists()
