"""A command that is told to stop: real signals to a real process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# The tests themselves may run where signals are ignored, as under nohup.
HEARING = (
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.argv[1], sys.argv[1:])",
)


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so_and_how_to_go_on(tmp_path: Path, told: int) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "bench", "run", "--preset", "smoke", "--device", "cpu"]
    running = subprocess.Popen(
        [*HEARING, *command, "--threads", "1", "--quiet", "--out", str(out)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    journal = out / "journal.jsonl"
    last = time.monotonic() + 300
    while not (journal.exists() and b"\n" in journal.read_bytes()):
        assert running.poll() is None
        assert time.monotonic() < last
        time.sleep(0.01)
    running.send_signal(told)
    _, said = running.communicate(timeout=60)

    assert running.returncode == 128 + told
    name = signal.Signals(told).name
    assert f"interrupted by {name}; what was measured is in {out}: add --out {out} --resume" in said
    assert "Traceback" not in said
    assert journal.read_bytes().endswith(b"\n")
