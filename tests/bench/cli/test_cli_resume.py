"""Taking up a run again, and rehearsing it: which spec counts, and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.spec.preset import load_preset
from bench.storage.journal import read
from bench.storage.records import cells_of

Called = Callable[..., tuple[int, str, str]]

OWN = ("--preset", "own.toml", "--axis", "d=16,24", "--axis", "t=1", "--seed", "5")
HERE = ("--out", "here")


@pytest.fixture
def begun(command: Called, stand_in: None, tmp_path: Path) -> Called:
    """The command line in a folder where half of a sweep is in ``here``."""
    preset = load_preset("smoke").with_overrides(device="cpu")
    own = replace(preset, preservation=replace(preset.preservation, enabled=False))
    (tmp_path / "own.toml").write_text(own.to_toml(""))
    assert command("run", *OWN, *HERE, "--shard", "1/2")[0] == 0
    return command


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def widths(folder: Path) -> set[int | None]:
    return {record.d for record in cells_of(read(folder / "journal.jsonl"))}


def test_a_resumed_run_goes_by_its_own_spec(begun: Called, tmp_path: Path) -> None:
    assert len(widths(tmp_path / "here")) == 1

    code, printed, _ = begun("run", *HERE, "--resume")

    assert code == 0
    assert printed.strip() == str(Path("here") / "report.html")
    assert widths(tmp_path / "here") == {16, 24}


def test_a_dry_run_of_it_shows_the_same_plan(begun: Called, tmp_path: Path) -> None:
    before = contents(tmp_path / "here")
    first = begun("run", *OWN, "--dry-run")

    assert begun("run", *HERE, "--resume", "--dry-run") == first
    assert first[0] == 0
    assert "16, 24" in first[1]
    assert contents(tmp_path / "here") == before


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ((*OWN, *HERE), "expected an empty --out; here holds a run"),
        ((*HERE, "--resume", "--seed", "6"), "seed was 5, is 6: repeat the command"),
        ((*HERE, "--resume", "--axis", "d=16,32"), "axes.d was [16, 24], is [16, 32]"),
        ((*OWN, "--out", "own.toml/run"), "own.toml is no directory that may be written"),
    ],
)
def test_a_dry_run_ends_as_the_run_would(
    begun: Called, tmp_path: Path, words: tuple[str, ...], cause: str
) -> None:
    before = contents(tmp_path / "here")
    code, printed, errors = begun("run", *words, "--dry-run")

    assert code == 2
    assert "preset smoke: model mlp" in printed
    assert errors.startswith("teleport-bench: here it would be refused: expected ")
    assert cause in errors
    assert contents(tmp_path / "here") == before
    assert begun("run", *words)[0] == 2


def test_a_dry_run_on_another_machine_is_refused(begun: Called, tmp_path: Path) -> None:
    place = tmp_path / "here" / "environment.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "torch": "0.1"}))

    code, _, errors = begun("run", *HERE, "--resume", "--dry-run")

    assert code == 2
    assert "torch was '0.1', is 'stand-in'" in errors


def test_every_session_has_its_date_host_and_duration(
    begun: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    begun("run", *HERE, "--resume")

    first, second = json.loads((tmp_path / "here" / "environment.json").read_text())["sessions"]
    assert second["host"] == "elsewhere"
    for session in (first, second):
        assert session["began"].endswith("+00:00")
        assert session["seconds"] >= 0
    assert first["began"] <= second["began"]


def test_a_model_that_changed_is_not_gone_on_with(begun: Called, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("from parts.layers import make\n")
    (tmp_path / "parts").mkdir()
    layers = tmp_path / "parts" / "layers.py"
    layers.write_text("def make(d): ...\n")
    mine = ("--preset", "own.toml", "--model", "net.py:make", "--axis", "d=8,12", "--out", "mine")
    assert begun("run", *mine, "--shard", "1/2")[0] == 0
    digests = json.loads((tmp_path / "mine" / "environment.json").read_text())["model_code"]
    assert set(digests) == {"net.py", "parts/layers.py"}

    layers.write_text("def make(d): pass\n")
    for more in ((), ("--dry-run",)):
        code, _, errors = begun("run", "--out", "mine", "--resume", *more)
        assert code == 2
        assert f"parts/layers.py was '{digests['parts/layers.py']}', is '" in errors
    layers.write_text("def make(d): ...\n")
    assert begun("run", "--out", "mine", "--resume")[0] == 0
