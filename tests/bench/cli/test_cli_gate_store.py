"""``gate --store``: baselines by machine and commit where one cannot run both revisions."""

import json

import pytest
from source_trees import git
from toy_repository import FACTORY, FORWARD, MODEL, RAISING, SLOW_FORWARD, change, commit

from bench.comparison.history import load, series_of
from bench.gate.store import Store
from bench.storage.run_directory import RunDirectory, read_environment

LAYERS, MODELS = "src/acme/layers.py", "src/acme/models.py"


@pytest.fixture
def gate(command, repository, tmp_path):
    """Gate the working tree by the store; exit code, what was printed and said, and the store."""
    store = Store(tmp_path / "store")

    def run(*words, base="HEAD"):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        methods = ("--method", "nullspace", "--method", "symmetry", "--model", MODEL)
        return *command(
            "gate", "--base", base, *methods, "--store", store.path, "--out", out, *words
        ), store

    return run


def test_the_first_gate_is_new_and_kept(gate, repository):
    code, printed, said, store = gate()

    assert code == 0
    assert "2 cells: 2 new. No regression found (exit 0)" in printed
    head = git(repository, "rev-parse", "HEAD")
    assert f"the store holds nothing of {head[:12]}: gate that commit, too" in printed
    assert "left out: symmetry does not apply (expected a stack of nn.Linear)" in said
    (kept,) = store.of_commit(head)
    assert f"kept in {kept}" in said
    assert read_environment(RunDirectory(kept))["cpu_model"] == "made up"


def test_what_is_kept_of_base_judges_head(gate, repository):
    gate()
    assert gate()[0] == 0
    commit(repository, **{LAYERS: SLOW_FORWARD})
    code, printed, _, store = gate(base="HEAD~1")
    assert code == 1
    assert "2 cells: 2 slower. Regression (exit 1)" in printed
    commit(repository, **{LAYERS: FORWARD})
    code, printed, _, _ = gate(base="HEAD~2")
    assert code == 0
    assert "2 cells: 2 same" in printed
    assert [len(one.seconds) for one in series_of(load(store.history))] == [4, 4]


def test_a_factory_that_raises_is_broken_with_and_without_a_baseline(gate, repository):
    change(repository, **{MODELS: RAISING})
    assert gate()[0] == 4
    change(repository, **{MODELS: FACTORY})
    gate()
    change(repository, **{MODELS: RAISING})
    code, printed, _, _ = gate()

    assert code == 4
    assert "head: crashed (ValueError: planted)" in printed


def test_a_working_tree_with_changes_is_judged_and_not_kept(gate, repository):
    change(repository, **{LAYERS: SLOW_FORWARD})
    code, _, said, store = gate()

    assert code == 0
    assert "not kept: the working tree is no commit" in said
    assert store.newest() is None


def test_store_and_history_survive_two_machines(gate, repository, command, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("reports.write_report", lambda *places, **_: shown.append(places) or "")
    gate()
    monkeypatch.setenv("CPU_MODEL", "another")
    code, printed, _, store = gate("--history", tmp_path / "history.jsonl")

    assert code == 3
    assert "cpu_model was 'made up', is 'another'" in printed
    head = git(repository, "rev-parse", "HEAD")
    assert len(store.of_commit(head)) == 2
    assert gate()[0] == 0  # this machine's own baseline is there now
    monkeypatch.delenv("CPU_MODEL")
    assert gate()[0] == 0  # and the first one's still is

    series = series_of(load(store.history))
    assert sorted((one.label, len(one.seconds)) for one in series) == [
        *[("nullspace", 2)] * 2,
        *[("sgd", 2)] * 2,
    ]
    assert len(load(tmp_path / "history.jsonl")) == 1
    for directory in (store.path, store.of_commit(head)[0]):
        assert command("report", directory, "--history", store.path)[0] == 0
    assert [history for _, history in shown] == [store.history] * 2
    assert shown[0][0] == store.newest()


def test_a_baseline_of_another_benchmark_is_not_comparable(gate, repository, monkeypatch):
    gate()
    monkeypatch.setattr("bench.gate.gate.benchmark_key", lambda _root: "b" * 16)
    code, printed, _, _ = gate()

    assert code == 3
    assert f"benchmark_code was '{'a' * 16}', is '{'b' * 16}'" in printed


@pytest.mark.long
def test_a_method_that_was_not_kept_is_new(gate, repository):
    gate()
    code, printed, _, _ = gate("--method", "random")

    assert code == 0
    assert "3 cells: 1 new, 2 same" in printed
    assert "has no such cell" in printed


def test_what_cannot_be_written_is_an_error(gate, repository, tmp_path):
    (tmp_path / "store").write_text("")
    code, _, said, _ = gate()

    assert code == 2
    assert "choose another" in said
    assert json.loads((next(tmp_path.glob("out*")) / "gate.json").read_text())["exit_code"] == 0
