"""This source tree as a repository of its own, to plant faults in and run the gate on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("teleport_core", "baselines", "bench", ".ci")
IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false")


def git(where: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *IDENTITY, "-C", str(where), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def repository(root: Path) -> Path:
    """A repository of the packages as they stand, with one commit."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / ".gitignore").write_text("__pycache__/\nruns/\n")
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "base")
    return root


def call(tree: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command inside the tree, whose code is what Python finds there."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    environment |= {"GITHUB_STEP_SUMMARY": str(tree.parent / "summary.md"), **variables}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def teleport_bench(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call(tree, sys.executable, "-P", "-m", "bench", *arguments)


def plant(tree: Path, name: str, more: str) -> None:
    """Append code to a file."""
    path = tree / name
    path.write_text(path.read_text() + more)
