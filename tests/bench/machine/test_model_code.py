"""Which files a model's version is, and who asks for it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli.app import app
from bench.errors import JournalError
from bench.machine.model_code import KEY, changed_code, model_code
from bench.storage.run_directory import RunDirectory, check_environment

MODEL = "import layers\nfrom os import path\ndef make(): return layers\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(MODEL)
    (tmp_path / "layers.py").write_text("import own, deeper\n")
    (tmp_path / "deeper.py").write_text("WIDTH = 3\n")
    (tmp_path / "stray.py").write_text("\n")
    return tmp_path


def test_the_file_and_what_it_imports_from_beside_it_count(folder: Path) -> None:
    before = model_code("own.py:make")
    assert set(before) == {"own.py", "layers.py", "deeper.py"}
    assert model_code(f"{folder}/own.py:make") == model_code("own:make") == before

    (folder / "stray.py").write_text("changed = True\n")
    assert model_code("own.py:make") == before
    (folder / "deeper.py").write_text("WIDTH = 4\n")
    assert changed_code({KEY: before}, {KEY: model_code("own.py:make")}) == ["deeper.py"]


@pytest.mark.parametrize("address", ["mlp", "json:loads", "nowhere.py:make", "own.py"])
def test_what_is_no_file_of_the_users_has_none(folder: Path, address: str) -> None:
    assert model_code(address) == {}


def test_a_file_that_is_no_python_has_a_digest_all_the_same(folder: Path) -> None:
    (folder / "own.py").write_bytes(b"def \x00 (")
    assert set(model_code("own.py:make")) == {"own.py"}


def test_runs_that_do_not_know_are_no_reason_to_refuse() -> None:
    assert changed_code({}, {KEY: {"a.py": "1"}}) == []
    assert changed_code({KEY: None}, {KEY: {"a.py": "1"}}) == []
    assert changed_code({KEY: {"a.py": "1"}}, {KEY: {"a.py": "1", "b.py": "2"}}) == ["b.py"]


def test_a_run_is_not_gone_on_with_after_a_change(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.environment.write_text(json.dumps({KEY: {"own.py": "1"}}))
    check_environment(run, {KEY: {"own.py": "1"}}, measured=True)
    check_environment(run, {KEY: {"own.py": "2"}}, measured=False)
    with pytest.raises(JournalError, match=r"begun with; own\.py changed since: put it back"):
        check_environment(run, {KEY: {"own.py": "2"}}, measured=True)


@pytest.mark.long
def test_a_changed_model_is_refused_by_resume_and_merge_and_remarked_by_compare(
    folder: Path,
) -> None:
    text = (
        "import torch\nfrom torch import nn\n\n"
        "def make(d, n):\n    net = nn.Sequential(nn.Linear(8, d), nn.Tanh(), nn.Linear(d, 3))\n"
        "    return net, nn.functional.cross_entropy, "
        "[(torch.randn(n, 8), torch.randint(0, 3, (n,)))]\n"
    )
    (folder / "net.py").write_text(text)
    sweep = ["run", "--preset", "smoke", "--model", "net.py:make", "--axis", "d=8,16", "--quiet"]
    call = CliRunner().invoke
    assert call(app, [*sweep, "--shard", "1/2", "--out", "one"]).exit_code == 0
    (folder / "net.py").write_text(text + "\nMORE = 1\n")
    assert call(app, [*sweep, "--shard", "2/2", "--out", "two"]).exit_code == 0

    for command in ([*sweep, "--resume", "--out", "one"], ["merge", "one", "two", "--out", "all"]):
        refused = call(app, command)
        assert isinstance(refused.exception, JournalError)
        assert "net.py changed" in str(refused.exception)
    assert "of the model net.py changed" in call(app, ["compare", "one", "two"]).stderr
