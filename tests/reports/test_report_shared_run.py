"""A page on a run that several runners made: their sessions and what A/A found."""

import json
from pathlib import Path

from bench.storage.run_directory import RunDirectory
from bench.storage.sessions import all_sessions
from reports.run.run import load
from reports.sections.environment import environment_table


def write(directory: Path, name: str, **facts: object) -> None:
    (directory / name).write_text(json.dumps(facts))


def test_sessions_of_all_runners_are_shown(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").touch()
    write(tmp_path, "environment.json", torch="2.8")
    for owner, flags in (("b", ["core 1: noisy"]), ("a", [])):
        device = {"aa_scatter": 0.5, "flags": flags}
        write(tmp_path, f"environment-{owner}.json", sessions=[{"devices": {"core 1": device}}])

    run = load(tmp_path)
    assert run.environment is not None
    shown = {row[0].text: row[1].text for row in environment_table(run.environment).rows}
    assert shown["torch"] == "2.8"
    assert shown["sessions.1.devices.core 1.aa_scatter"] == "0.5"
    assert shown["sessions.2.devices.core 1.flags"] == "core 1: noisy"
    assert len(all_sessions(RunDirectory(tmp_path))) == 2


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").touch()
    write(tmp_path, "environment.json", torch="2.8", sessions=[{"host": "here"}])
    (tmp_path / "environment-a.json").write_text("{")

    run = load(tmp_path)
    assert run.environment == {"torch": "2.8", "sessions": [{"host": "here"}]}
    assert any(note.startswith("environment-a.json could not be read") for note in run.notes)
