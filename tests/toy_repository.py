"""A repository of a user's, whose model counts its work, and a worker that counts with it."""

from pathlib import Path

from source_trees import git

from bench.gate.subject import Subject
from bench.process.local import WorkerProcess

COUNTING = Path(__file__).parent / "counting"
MODEL = "src/acme/models.py:factory"

FORWARD = "def forward(count):\n    count()\n"
SLOW_FORWARD = "def forward(count):\n    for _ in range(20):\n        count()\n"
FACTORY = """\
import acme.layers
from .layers import forward


def factory():
    assert acme.layers.forward is forward
    return forward
"""
RAISING = FACTORY.replace("    return", '    raise ValueError("planted")\n    return')


def toy(root: Path) -> Path:
    """The package acme in src: a commit without the model, tagged v0, and one with it."""
    package = root / "src" / "acme"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (root / ".gitignore").write_text("__pycache__/\n")
    git(root, "init", "--quiet")
    commit(root, **{"src/acme/layers.py": FORWARD})
    git(root, "tag", "v0")
    commit(root, **{"src/acme/models.py": FACTORY})
    return root


def change(root: Path, **files: str) -> None:
    for name, text in files.items():
        (root / name).write_text(text)


def commit(root: Path, **files: str) -> str:
    change(root, **files)
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "change")
    return git(root, "rev-parse", "HEAD")


def counting(subject: Subject) -> WorkerProcess:
    """What ``bench.gate.subject.launched`` starts, without torch."""
    assert subject.imports is not None
    return WorkerProcess(COUNTING, subject.imports.variables(), subject.root)
