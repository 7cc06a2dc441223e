"""The gate itself, with real workers on real source trees: the exit code, never a time."""

import json
from xml.etree import ElementTree as ET

import pytest
from source_trees import git, plant, repository, teleport_bench

SMALL = ("--axis", "d=32", "--method", "nullspace", "--method", "symmetry", "--min-effect", "9")


@pytest.fixture
def tree(tmp_path):
    return repository(tmp_path / "tree")


def gate(tree, *arguments):
    out = tree.parent / "out"
    done = teleport_bench(tree, "gate", "--base", "HEAD", *SMALL, "--out", str(out), *arguments)
    return done, out


def left_behind(tree):
    return git(tree, "worktree", "list").splitlines()[1:]


def test_the_same_code_passes_and_leaves_every_file(tree):
    history = tree.parent / "history.jsonl"
    done, out = gate(tree, "--history", str(history))

    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("SAME")]
    assert len(rows) == 2
    assert "2 cells: 2 same. No regression found (exit 0)" in done.stdout
    document = json.loads((out / "gate.json").read_text())
    assert [cell["verdict"] for cell in document["cells"]] == ["SAME", "SAME"]
    assert len(ET.parse(out / "junit.xml").getroot().findall("testcase")) == 2
    assert (tree.parent / "summary.md").read_text() == (out / "gate.md").read_text()
    assert len(history.read_text().splitlines()) == 1
    assert left_behind(tree) == []
    again = teleport_bench(
        tree, "compare", str(out / "base"), str(out / "head"), "--min-effect", "9"
    )
    assert again.returncode == 0, again.stdout + again.stderr


def test_a_method_that_fails_now_is_named_and_broken(tree):
    plant(tree, "baselines/symmetry/__init__.py", '\nraise RuntimeError("planted")\n')
    done, out = gate(tree)

    assert done.returncode == 4, done.stdout + done.stderr
    assert "BROKEN   symmetry" in done.stdout
    assert "planted" in done.stdout
    assert "SAME     nullspace" in done.stdout
    error = ET.parse(out / "junit.xml").getroot().find("testcase/error")
    assert error is not None
    assert error.get("type") == "BROKEN"


def test_another_clock_is_not_comparable(tree):
    path = tree / "bench" / "timing" / "clock.py"
    path.write_text(path.read_text().replace("return end - start", "return (end - start) / 2"))
    done, _ = gate(tree)

    assert done.returncode == 3, done.stdout + done.stderr
    assert done.stdout.count("NOT COMPARABLE") == 2


def test_a_base_that_is_not_there_is_bad_usage(tree):
    done = teleport_bench(tree, "gate", "--base", "nothing")

    assert done.returncode == 2
    assert "expected a commit for --base; git knows no 'nothing'" in done.stderr


def test_a_dry_run_measures_nothing(tree):
    done = teleport_bench(tree, "gate", "--base", "HEAD", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "10 cells of" in done.stdout
    assert left_behind(tree) == []


def test_an_out_that_holds_something_is_refused(tree):
    (tree.parent / "out").mkdir()
    (tree.parent / "out" / "file").write_text("")
    done, _ = gate(tree)

    assert done.returncode == 2
    assert "expected an empty --out" in done.stderr


@pytest.mark.long
def test_calibrate_writes_what_the_gate_takes(tree):
    file = tree.parent / "calibration.json"
    options = ("--axis", "d=32", "--method", "symmetry", "--method", "nullspace")
    made = teleport_bench(tree, "calibrate", *options, "--repeats", "2", "--out", str(file))
    assert made.returncode == 0, made.stdout + made.stderr
    assert "minimum effect" in made.stdout

    document = json.loads(file.read_text())
    for cell in document["cells"].values():
        cell["min_effect"] = 9.0
    file.write_text(json.dumps(document))
    done, out = gate(tree, "--calibration", str(file), "--min-effect", "0.001")

    assert done.returncode == 0, done.stdout + done.stderr
    effects = [cell["min_effect"] for cell in json.loads((out / "gate.json").read_text())["cells"]]
    assert effects == [9.0, 9.0]
