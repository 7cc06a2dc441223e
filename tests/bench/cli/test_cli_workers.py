"""``--workers`` on the command line: what is said, what is refused, and what is left unsaid."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bench.parallel.begin import Workers
from bench.process.local import WorkerProcess
from bench.spec.preset import load_preset
from bench.storage.journal import read
from bench.storage.records import cells_of

Called = Callable[..., tuple[int, str, str]]

STAND_IN = Path(__file__).parents[2] / "soak" / "stand_in"
OWN = ("run", "--preset", "own.toml", "--axis", "d=16,24", "--axis", "t=1", "--out", "here")


@pytest.fixture
def workers(
    command: Called, stand_in: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Called:
    """The command line, whose workers measure nothing."""
    launch = partial(WorkerProcess, STAND_IN)
    monkeypatch.setattr("bench.cli.measuring.carried.Workers", partial(Workers, launch=launch))
    preset = load_preset("smoke").with_overrides(device="cpu")
    own = replace(preset, preservation=replace(preset.preservation, enabled=False))
    (tmp_path / "own.toml").write_text(own.to_toml(""))
    return command


def test_a_sweep_says_who_works_and_ends_with_its_report(workers: Called, tmp_path: Path) -> None:
    code, printed, said = workers(*OWN, "--workers", 1)

    assert (code, printed) == (0, "here/report.html\n")
    assert "workers on core" in said
    assert "[2/2] t=1 d=" in said
    assert len(cells_of(read(tmp_path / "here" / "journal.jsonl"))) == 6
    # The second one has nothing to do, quietly.
    assert workers(*OWN, "--workers", 1, "--quiet") == (0, "here/report.html\n", "")
    assert len(read(tmp_path / "here" / "journal.jsonl")) == 6
    assert workers("report", "here")[0] == 0


def test_a_dry_run_names_the_devices_and_writes_nothing(workers: Called, tmp_path: Path) -> None:
    code, printed, said = workers(*OWN, "--workers", 1, "--dry-run")

    assert (code, said) == (0, "")
    assert "2 points, 6 cells" in printed
    assert "workers on core" in printed
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--workers", "many"), "expected --workers auto or a number"),
        (("--workers", "2", "--on", "slurm.toml"), "expected --on without --workers"),
        (("--workers", "999"), "expected at least a core for every worker and thread; got "),
    ],
)
def test_what_cannot_be_is_refused(workers: Called, words: tuple[str, ...], cause: str) -> None:
    for more in ((), ("--dry-run",)):
        code, _, said = workers(*OWN, *words, *more)
        assert code == 2
        assert cause in said


def test_a_run_of_another_machine_is_not_joined(workers: Called, tmp_path: Path) -> None:
    assert workers(*OWN, "--workers", 1)[0] == 0
    place = tmp_path / "here" / "environment.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "torch": "0.1"}))

    for more in ((), ("--dry-run",)):
        code, _, said = workers(*OWN, "--workers", 1, *more)
        assert code == 2
        assert "torch was '0.1', is 'stand-in'" in said


def test_parts_that_several_runners_made_are_merged(workers: Called, tmp_path: Path) -> None:
    for part in (1, 2):
        words = (*OWN[:-1], f"part{part}", "--workers", 1, "--shard", f"{part}/2")
        assert workers(*words)[0] == 0

    code, _, said = workers("merge", "part1", "part2", "--out", "both")
    assert (code, said) == (0, "6 cells from 2 parts\n")
    sessions = json.loads((tmp_path / "both" / "environment.json").read_text())["sessions"]
    assert [len(session["devices"]) for session in sessions] == [1, 1]
