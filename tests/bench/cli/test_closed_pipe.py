"""Output that nobody reads any more: the exit code is the signal's, never that of a regression."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorded_runs import run_directory

ROOT = Path(__file__).parents[3]
UNREAD = 141  # 128 + SIGPIPE


def unread(*words: str, stream: str = "stdout", **variables: str) -> int:
    """The exit code of a command whose reader has gone before it began."""
    reader, writer = os.pipe()
    os.close(reader)
    streams: dict[str, int] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    streams[stream] = writer
    done = subprocess.run(
        [sys.executable, "-m", "bench", *words],
        check=False,
        cwd=ROOT,
        env={**os.environ, **variables},
        **streams,  # type: ignore[call-overload]
    )
    os.close(writer)
    return int(done.returncode)


@pytest.mark.parametrize(
    ("words", "stream"), [(("--help",), "stdout"), ((), "stderr"), (("run", "--no"), "stderr")]
)
def test_of_help_and_of_bad_usage(words: tuple[str, ...], stream: str) -> None:
    assert unread(*words, stream=stream) == UNREAD


def test_of_a_table_in_colours() -> None:
    """Rich draws it, and would exit with 1 itself."""
    assert unread("presets", FORCE_COLOR="1", TERM="xterm") == UNREAD


def test_of_a_comparison(tmp_path: Path) -> None:
    run = str(run_directory(tmp_path / "run"))

    assert unread("compare", run, run) == UNREAD
