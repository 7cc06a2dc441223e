"""What the workflow of pull requests calls, called here."""

import os
import re
import sys

import pytest
from source_trees import ROOT, call, git, plant, repository

WORKFLOW = (ROOT / ".github" / "workflows" / "performance.yml").read_text()
CALLED = re.findall(r"run: (.*)", WORKFLOW)


@pytest.fixture
def merged(tmp_path):
    """What checkout gives: a merge commit whose first parent is the base."""
    tree = repository(tmp_path / "tree")
    git(tree, "checkout", "--quiet", "-b", "change")
    (tree / "new").write_text("")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "--message", "change")
    git(tree, "checkout", "--quiet", "-")
    git(tree, "merge", "--quiet", "--no-ff", "--no-edit", "change")
    return tree


def step(tree, *more):
    """The step as the workflow calls it, with the Python of this test."""
    (found,) = [line.split() for line in CALLED if line.startswith(".ci/gate")]
    return call(tree, *found, *more, PYTHON=sys.executable)


def test_the_workflow_calls_make_and_the_gate_and_nothing_else():
    assert CALLED == ["make .venv/.installed", ".ci/gate HEAD^1 --out runs/gate"]
    assert "$(VENV)/.installed:" in (ROOT / "Makefile").read_text()
    assert "fetch-depth: 2" in WORKFLOW
    assert os.access(ROOT / ".ci" / "gate", os.X_OK)


def test_it_compares_with_what_the_change_is_merged_into(merged):
    done = step(merged, "--dry-run")

    assert done.returncode == 0, done.stderr
    assert f"against base {git(merged, 'rev-parse', 'HEAD^1')[:12]}: 10 cells" in done.stdout


def test_a_change_of_the_benchmark_passes_with_a_warning(merged):
    plant(merged, "bench/timing/clock.py", "\nEXTRA = 1\n")
    done = step(merged)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "::warning::Not compared with HEAD^1" in done.stdout
    assert "NOT COMPARABLE" in done.stdout
    assert "(exit 3)" in (merged.parent / "summary.md").read_text()


def test_other_exit_codes_fail_the_step(merged):
    assert step(merged, "--min-effect", "0").returncode == 2
