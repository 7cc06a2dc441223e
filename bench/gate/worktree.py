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
_ABBREVIATED = 12


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
        changed = " with changes" if self.dirty else ""
        return self.base_commit[:_ABBREVIATED], f"{self.head_commit[:_ABBREVIATED]}{changed}"


@contextlib.contextmanager
def trees(revision: str, inside: Path) -> Iterator[Trees]:
    """Check a revision out beside the working tree around ``inside``; removed again at the end.

    Raises:
        SpecError: no git, no repository, or no such revision.
        NotComparableError: the revision has no worker to be measured by.
    """
    head = Path(_git(inside, "rev-parse", "--show-toplevel"))
    commit = resolve(revision, head)
    if not _has_worker(head):
        raise SpecError(
            f"expected the source tree of teleport-bench; {head} has no {_WORKERS[0]}: "
            "change into it"
        )
    folder = Path(tempfile.mkdtemp(prefix="teleport-gate-")).resolve()
    try:
        _git(head, "worktree", "add", "--quiet", "--detach", str(folder / "base"), commit)
        if not _has_worker(folder / "base"):
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
