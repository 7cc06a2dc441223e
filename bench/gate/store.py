"""Baselines that are kept: run directories by machine and commit, and the history of all gates.

    STORE/history.jsonl
    STORE/<key of the machine and its software>/<commit>/   what ``compare`` and ``report`` read

Machines may share a store or send theirs to one another: what one writes no other one touches, and
lines of the history are appended under a lock.
"""

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from bench.comparison.history import NAME as HISTORY
from bench.errors import RunError
from bench.storage.run_directory import RunDirectory, read_environment


@dataclass(frozen=True)
class Store:
    """The folder at ``path``, which need not be there yet."""

    path: Path

    @property
    def history(self) -> Path:
        """The file of all gates' results."""
        return self.path / HISTORY

    def place(self, environment: str, commit: str) -> Path:
        """Where a commit's result on the machines of a key is, or would be."""
        return self.path / environment / commit

    def of_commit(self, commit: str) -> list[Path]:
        """A commit's results on all machines."""
        return [run.parent for run in sorted(self.path.glob(f"*/{commit}/journal.jsonl"))]

    def baseline(self, environment: str, commit: str) -> Path | None:
        """A commit's result on the machines of a key; else on any other, which tells what differs.

        None: on none.
        """
        ours = self.place(environment, commit)
        found = self.of_commit(commit)
        return ours if ours in found else next(iter(found), None)

    def newest(self) -> Path | None:
        """The result that was kept last; None where there is none."""
        found = self.path.glob("*/[!.]*/journal.jsonl")  # no drafts
        runs = sorted(found, key=lambda journal: (journal.stat().st_mtime, journal))
        return runs[-1].parent if runs else None

    def keep(self, run: Path, environment: str, commit: str) -> Path:
        """Copy a run directory to its place, over an earlier one.

        Raises:
            JournalError: there is no environment in it.
            RunError: the store cannot be written.
        """
        read_environment(RunDirectory(run))
        place = self.place(environment, commit)
        draft = place.with_name(f".{commit}.{secrets.token_hex(4)}")
        try:
            shutil.copytree(run, draft)
            shutil.rmtree(place, ignore_errors=True)
            draft.rename(place)
        except OSError as error:
            raise RunError(
                f"expected to write into {place}; {error.strerror or error}: choose another --store"
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return place
