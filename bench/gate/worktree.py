"""The source trees of a gate: head is the working tree as it is, base a checkout of a revision."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import NotComparableError, SpecError
from bench.machine.git import git

# The worker was one file once.
_WORKERS = (Path("bench") / "worker" / "__main__.py", Path("bench") / "worker.py")
ABBREVIATED = 12


@dataclass(frozen=True)
class Trees:
    """The checked-out revision and the working tree, which is ``dirty`` if it is not its commit."""

    base: Path
    head: Path
    base_commit: str
    head_commit: str
    dirty: bool

    @property
    def names(self) -> tuple[str, str]:
        """What to call base and head."""
        return self.base_commit[:ABBREVIATED], _name(self.head_commit, changed=self.dirty)


@dataclass(frozen=True)
class WorkingTree:
    """A working tree and its commit; ``kept`` if no file that git knows was changed since."""

    path: Path
    commit: str
    kept: bool

    @property
    def name(self) -> str:
        """What to call it."""
        return _name(self.commit, changed=not self.kept)


def working_tree(inside: Path, *, own: bool = False) -> WorkingTree:
    """The one around a folder; see ``trees``."""
    path = top(inside)
    _check_head(path, own=own)
    changes = _git(path, "status", "--porcelain", "--untracked-files=no")
    return WorkingTree(path, _git(path, "rev-parse", "HEAD"), not changes)


def top(inside: Path) -> Path:
    """The root of the repository around a folder; SpecError: no git, or no repository."""
    return Path(_git(inside, "rev-parse", "--show-toplevel"))


def is_ours(tree: Path) -> bool:
    """Whether a source tree is this project's, with the methods that a worker measures."""
    return _has_worker(tree) and (tree / "teleport_core").is_dir()


@contextlib.contextmanager
def trees(revision: str, inside: Path, *, own: bool = False) -> Iterator[Trees]:
    """Check a revision out beside the working tree around ``inside``; removed again at the end.

    ``own``: the repository is of the user's, and brings no worker.

    Raises:
        SpecError: no git, no repository, or no such revision.
        NotComparableError: the revision has no worker to be measured by.
    """
    head = top(inside)
    commit = resolve(revision, head)
    _check_head(head, own=own)
    folder = Path(tempfile.mkdtemp(prefix="teleport-gate-")).resolve()
    try:
        _git(head, "worktree", "add", "--quiet", "--detach", str(folder / "base"), commit)
        if not own and not _has_worker(folder / "base"):
            raise NotComparableError(
                f"expected {_WORKERS[0]} in base {revision}; it has none, so it cannot be "
                "measured: choose a later --base"
            )
        yield Trees(
            base=folder / "base",
            head=head,
            base_commit=commit,
            head_commit=_git(head, "rev-parse", "HEAD"),
            dirty=bool(_git(head, "status", "--porcelain")),
        )
    finally:
        _remove(head, folder)


def resolve(revision: str, repository: Path) -> str:
    """The full hash of the commit that a revision names; SpecError: no such commit here."""
    try:
        commit = f"{revision}^{{commit}}"
        return _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", commit)
    except SpecError:
        shallow = _git(repository, "rev-parse", "--is-shallow-repository") == "true"
        cure = (
            f"this clone is shallow: fetch it with 'git fetch --depth=1 origin {revision}', or "
            "check out with fetch-depth: 0"
            if shallow
            else "see 'git log --all', or fetch it first"
        )
        raise SpecError(
            f"expected a commit for --base; git knows no {revision!r}: {cure}"
        ) from None


def _name(commit: str, *, changed: bool) -> str:
    return f"{commit[:ABBREVIATED]}{' with changes' if changed else ''}"


def _check_head(tree: Path, *, own: bool) -> None:
    """Refuse a repository of which nothing is measured."""
    if not own and not _has_worker(tree):
        raise SpecError(
            f"expected the source tree of teleport-bench; {tree} has no {_WORKERS[0]}: "
            "change into it, or name a function of this repository with --model "
            "path/to/file.py:factory"
        )


def _remove(repository: Path, folder: Path) -> None:
    """Take the checkout away, whatever state it is in."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(SpecError):  # git was stopped before it knew of the checkout
        _git(repository, "worktree", "remove", "--force", "--force", str(folder / "base"))


def _has_worker(tree: Path) -> bool:
    return any((tree / worker).is_file() for worker in _WORKERS)


def _git(where: Path, *arguments: str) -> str:
    try:
        done = git(where, *arguments)
    except FileNotFoundError:
        raise SpecError("expected git to check --base out; there is none on PATH") from None
    if done.returncode:
        raise SpecError(
            f"expected 'git {arguments[0]}' to work in {where}; it said: "
            f"{' '.join(done.stderr.split()) or 'nothing'}"
        )
    return done.stdout.strip()
