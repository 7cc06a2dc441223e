"""Which files a model's version is, and who asks for it."""

import json
from pathlib import Path

import pytest
from source_trees import git
from typer.testing import CliRunner

from bench.cli.app import app
from bench.errors import JournalError
from bench.machine.model_code import KEY, model_code, model_facts
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
    now = model_code("own.py:make")
    assert [name for name in before if now[name] != before[name]] == ["deeper.py"]


@pytest.fixture
def package(folder: Path) -> Path:
    """A package whose modules import each other in every way there is."""
    texts = {
        "pkg/__init__.py": "",
        "pkg/nets/__init__.py": "from . import blocks\n",
        "pkg/nets/mine.py": "import pkg.losses\nfrom ..data.sets import load\n",
        "pkg/nets/blocks.py": "from .deeper import Block\n",
        "pkg/nets/deeper.py": "from pkg.nets import sizes\n",
        "pkg/nets/sizes.py": "import teleport_core, json, torch.nn\n",
        "pkg/losses.py": "",
        "pkg/data/sets.py": "",
        "pkg/stray.py": "",
        "teleport_core/__init__.py": "",
        "script.py": "from pkg.nets.mine import make\n",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


PACKAGE = {
    *("pkg/__init__.py", "pkg/nets/__init__.py", "pkg/nets/mine.py", "pkg/nets/blocks.py"),
    *("pkg/nets/deeper.py", "pkg/nets/sizes.py", "pkg/losses.py", "pkg/data/sets.py"),
}


def test_a_package_is_followed_by_dotted_and_relative_imports(package: Path) -> None:
    assert set(model_code("pkg.nets.mine:make")) == PACKAGE
    assert set(model_code("script.py:make")) == {*PACKAGE, "script.py"}
    assert set(model_code(f"{package}/script.py:make")) == {*PACKAGE, "script.py"}


def test_a_package_that_lies_elsewhere_counts_and_an_installed_one_does_not(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = package / "empty"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert model_code("pkg.nets.mine:make") == {}
    monkeypatch.syspath_prepend(str(package))
    assert set(model_code("pkg.nets.mine:make")) == PACKAGE

    (package / "site-packages").mkdir()
    (package / "pkg").rename(package / "site-packages" / "pkg")
    monkeypatch.syspath_prepend(str(package / "site-packages"))
    assert model_code("pkg.nets.mine:make") == {}


def test_the_commit_of_the_users_repository_is_kept(folder: Path) -> None:
    facts = model_facts("own.py:make")
    assert (facts["model_commit"], facts["model_dirty"]) == (None, None)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "mine")

    facts = model_facts("own.py:make")
    assert set(facts[KEY]) == {"own.py", "layers.py", "deeper.py"}
    assert (facts["model_commit"], facts["model_dirty"]) == (
        git(folder, "rev-parse", "HEAD"),
        False,
    )
    (folder / "stray.py").write_text("changed = True\n")
    assert model_facts("own.py:make")["model_dirty"] is False
    (folder / "deeper.py").write_text("WIDTH = 4\n")
    assert model_facts("own.py:make")["model_dirty"] is True
    assert model_facts("mlp") == {KEY: {}}


@pytest.mark.parametrize(
    "address", ["mlp", "json:loads", "numpy:array", "nowhere.py:make", "nowhere:make", "own.py"]
)
def test_what_is_no_file_of_the_users_has_none(folder: Path, address: str) -> None:
    assert model_code(address) == {}


def test_a_file_that_is_no_python_has_a_digest_all_the_same(folder: Path) -> None:
    (folder / "own.py").write_bytes(b"def \x00 (")
    assert set(model_code("own.py:make")) == {"own.py"}


def test_a_run_is_not_gone_on_with_after_a_change(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.environment.write_text(json.dumps({KEY: {"own.py": "1"}}))
    check_environment(run, {KEY: {"own.py": "1"}}, measured=True)
    check_environment(run, {KEY: {"own.py": "2"}}, measured=False)
    with pytest.raises(JournalError, match=r"begun with; own\.py was '1', is '2': put it back"):
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
        assert "net.py was '" in str(refused.exception)
    assert "from one to two: net.py was '" in call(app, ["compare", "one", "two"]).stderr
