"""The command line in this process, and a worker that measures nothing for it."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from toy_repository import counting, toy

from bench.cli.app import main
from bench.process.local import WorkerProcess
from bench.runner.runner import Runner

STAND_IN = Path(__file__).parents[2] / "soak" / "stand_in"

Called = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Called:
    """Run ``teleport-bench WORDS`` in an empty folder; (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["teleport-bench", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Cells come at once and no report is written."""
    monkeypatch.setenv("WITNESS", str(tmp_path / "witness"))
    monkeypatch.setenv("FAULTS", "0")
    launch = partial(WorkerProcess, STAND_IN)
    monkeypatch.setattr("bench.cli.measuring.carried.Runner", partial(Runner, launch=launch))
    monkeypatch.setattr("reports.write_report", lambda path, *_, **__: path / "report.html")


@pytest.fixture
def repository(command: Called, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user's, where ``command`` runs; its package is installed as a link to the working tree."""
    for module in ("cli.judging.gating", "cli.judging.stored", "gate.subject"):
        monkeypatch.setattr(f"bench.{module}.launched", counting)
    # Reading all measuring code would take longer than a gate.
    monkeypatch.setattr("bench.gate.gate.benchmark_key", lambda _root: "a" * 16)
    root = toy(tmp_path / "toy")
    monkeypatch.chdir(root)
    path = os.pathsep.join([str(root / "src"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    return root
