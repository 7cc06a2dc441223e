"""The checkout of base: which revision, what is refused, and that nothing stays behind."""

import subprocess
from pathlib import Path

import pytest

from bench.errors import NotComparableError, SpecError
from bench.gate.worktree import trees


def git(where: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, "-C", str(where), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """Three commits: without a worker, with one, and with another; tagged v0, v1, v2."""
    root = tmp_path / "repository"
    (root / "bench").mkdir(parents=True)
    git(root, "init", "--quiet")
    for number, name in enumerate(("other.py", "worker.py", "worker.py")):
        (root / "bench" / name).write_text(f"x = {number}")
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message", f"{number}")
        git(root, "tag", f"v{number}")
    return root


def test_base_is_the_revision_and_head_the_working_tree(repository):
    (repository / "bench" / "worker.py").write_text("x = 3")
    with trees("v1", repository / "bench") as both:
        assert (both.base / "bench" / "worker.py").read_text() == "x = 1"
        assert (both.head / "bench" / "worker.py").read_text() == "x = 3"
        assert both.head == repository.resolve()
        assert both.base_commit == git(repository, "rev-parse", "v1")
        assert both.names == (both.base_commit[:12], f"{both.head_commit[:12]} with changes")
        base = both.base

    assert not base.parent.exists()
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_working_tree_without_changes_says_so(repository):
    with trees("v1", repository) as both:
        assert both.names[1] == git(repository, "rev-parse", "HEAD")[:12]


def fails_inside(repository):
    with trees("v1", repository) as both:
        (both.base / "left").write_text("behind")
        raise KeyboardInterrupt


def test_the_checkout_is_taken_away_after_an_interrupt(repository):
    with pytest.raises(KeyboardInterrupt):
        fails_inside(repository)

    assert len(git(repository, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("revision", ["nothing", "-x", "--all", "", "v1:bench"])
def test_no_such_commit(repository, revision):
    with (
        pytest.raises(SpecError, match=r"expected a commit for --base; git knows no .*git log"),
        trees(revision, repository),
    ):
        pass


def test_a_shallow_clone_is_told_what_to_fetch(repository, tmp_path):
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", str(shallow))
    with (
        pytest.raises(SpecError, match=r"this clone is shallow: fetch .* fetch-depth: 0"),
        trees(git(repository, "rev-parse", "v1"), shallow),
    ):
        pass


def test_a_base_without_a_worker_is_not_comparable(repository):
    with pytest.raises(NotComparableError, match="choose a later --base"), trees("v0", repository):
        pass


def test_outside_of_a_repository(tmp_path):
    with (
        pytest.raises(SpecError, match="expected 'git rev-parse' to work in"),
        trees("v1", tmp_path),
    ):
        pass


def test_hooks_do_not_run_and_a_hooks_variables_do_not_lead_astray(
    repository, tmp_path, monkeypatch
):
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    with trees("v1", repository) as both:
        assert (both.base / "bench" / "worker.py").read_text() == "x = 1"

    assert not (tmp_path / "ran").exists()
