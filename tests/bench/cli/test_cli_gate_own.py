"""``gate`` in a repository of the user's: every verdict, on real checkouts and counted times."""

import json

import pytest
from source_trees import git
from toy_repository import FACTORY, MODEL, RAISING, SLOW_FORWARD, change, commit

LAYERS, MODELS = "src/acme/layers.py", "src/acme/models.py"


@pytest.fixture
def gate(command, repository, tmp_path):
    """Gate the working tree; exit code, what was printed and said, verdict and remark by cell."""

    def run(*words, base="HEAD", model=MODEL):
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        methods = ("--method", "nullspace", "--method", "symmetry")
        code, printed, said = command(
            "gate", "--base", base, "--model", model, *methods, "--out", out, *words
        )
        assert len(git(repository, "worktree", "list").splitlines()) == 1
        if not (out / "gate.json").exists():
            return code, printed, said, {}
        cells = json.loads((out / "gate.json").read_text())["cells"]
        found = {cell["label"]: (cell["verdict"], cell["reason"]) for cell in cells}
        return code, printed, said, found

    return run


def test_a_repository_is_the_same_as_itself(gate):
    code, printed, said, found = gate()

    assert (code, {cell: verdict for cell, (verdict, _) in found.items()}) == (
        0,
        {"sgd": "SAME", "nullspace": "SAME"},
    )
    assert "2 cells: 2 same. No regression found (exit 0)" in printed
    assert "left out: symmetry does not apply (expected a stack of nn.Linear)" in said


def test_a_loop_in_what_the_model_imports_is_slower(gate, repository):
    change(repository, **{LAYERS: SLOW_FORWARD})
    code, printed, said, found = gate()

    assert code == 1
    assert [verdict for verdict, _ in found.values()] == ["SLOWER", "SLOWER"]
    assert "20." in printed
    assert "with changes against base" in said


@pytest.mark.long
def test_a_loop_that_was_taken_out_is_faster(gate, repository):
    commit(repository, **{LAYERS: SLOW_FORWARD})
    git(repository, "revert", "--no-edit", "HEAD")
    code, _, _, found = gate(base="HEAD~1")

    assert code == 0
    assert [verdict for verdict, _ in found.values()] == ["FASTER", "FASTER"]


def test_a_factory_that_raises_is_broken(gate, repository):
    change(repository, **{MODELS: RAISING})
    code, printed, _, found = gate()

    assert code == 4
    assert {verdict for verdict, _ in found.values()} == {"BROKEN"}
    assert "head: crashed (ValueError: planted)" in printed


@pytest.mark.long
def test_a_factory_that_raises_in_both_is_broken(gate, repository):
    commit(repository, **{MODELS: RAISING})

    assert gate()[0] == 4


def test_what_base_lacks_is_new(gate):
    code, printed, _, found = gate(base="v0")

    assert code == 0
    assert {verdict for verdict, _ in found.values()} == {"NEW"}
    assert f"base: skipped (there is no {MODELS})" in printed
    assert set(found) == {"sgd", "nullspace"}


@pytest.mark.long
def test_a_function_that_base_lacks_is_new(gate, repository):
    change(repository, **{MODELS: FACTORY.replace("factory", "small")})
    code, _, _, found = gate(model=f"{MODELS[:-3]}.py:small")

    assert code == 0
    assert {verdict for verdict, _ in found.values()} == {"NEW"}


def test_what_the_working_tree_lacks_is_bad_usage(gate):
    assert gate(model="src/acme/other.py:factory")[0] == 2
    assert gate(model="mlp")[0] == 2


def test_another_machine_is_named(gate, repository):
    change(repository, CPU_MODEL="another")
    code, printed, _, found = gate()

    assert code == 3
    assert {verdict for verdict, _ in found.values()} == {"NOT_COMPARABLE"}
    assert "cpu_model was 'made up', is 'another'" in printed


def test_a_module_from_the_working_tree_in_base_is_refused(gate, repository):
    """One that no finder can lead elsewhere, as the model reaches for it itself."""
    reaching = f"import sys\nsys.path.insert(0, {str(repository / 'lib')!r})\nimport far\n"
    (repository / "lib").mkdir()
    commit(repository, **{"lib/far.py": "", MODELS: reaching + FACTORY})
    code, _, said, _ = gate()

    assert code == 3
    assert "expected base to import its own revision; it took from the working tree" in said
    assert f"far ({repository}/lib/far.py): " in said


def test_a_dry_run_says_what_would_be_measured(gate):
    code, printed, _, _ = gate("--dry-run")

    assert code == 0
    assert "3 cells of\nnullspace\nsgd\nsymmetry" in printed


def test_calibrated_effects_hold_for_the_same_model_by_any_address(
    gate, command, repository, tmp_path, monkeypatch
):
    monkeypatch.chdir(repository / "src" / "acme")
    file = tmp_path / "calibration.json"
    words = ("--model", "models.py:factory", "--method", "nullspace", "--repeats", 2)
    code, printed, _ = command("calibrate", *words, "--out", file)
    assert code == 0
    assert "nullspace" in printed

    document = json.loads(file.read_text())
    for noise in document["cells"].values():
        noise["min_effect"] = 50.0
    file.write_text(json.dumps(document))
    change(repository, **{LAYERS: SLOW_FORWARD})

    assert gate("--calibration", file, model="acme.models:factory")[0] == 0
