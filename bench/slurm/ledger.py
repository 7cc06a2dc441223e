"""What was submitted for a run: a file that every later look at it begins with.

An array is written down before it is submitted, so that none is ever lost.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

from msgspec import MsgspecError, Struct, field, json

from bench.errors import JournalError, RunError
from bench.files import read_plain, write_whole
from bench.storage.run_directory import RunDirectory

FOLDER = "slurm"
_PARTS = "parts"


class Submission(Struct, kw_only=True):
    """One array."""

    name: str
    parts: list[int]  # in the order of its tasks
    effort: int  # how often the run had been taken up when it was submitted
    job: str | None = None  # its number, once known
    ends: dict[int, str] = field(default_factory=dict)  # task -> the state it was seen to end in


class Ledger(Struct, kw_only=True):
    """All arrays of a run."""

    count: int  # of parts
    effort: int = 0  # how often the run was taken up; a part is tried twice in each
    submissions: list[Submission] = field(default_factory=list)

    def add(self, parts: Sequence[int]) -> Submission:
        """A new array, under a name that no other has."""
        name = f"teleport-bench-{secrets.token_hex(4)}"
        submission = Submission(name=name, parts=list(parts), effort=self.effort)
        self.submissions.append(submission)
        return submission

    def latest(self, part: int) -> tuple[Submission, int] | None:
        """The last array that holds a part, and which of its tasks that is."""
        holding = [each for each in self.submissions if part in each.parts]
        return (holding[-1], holding[-1].parts.index(part)) if holding else None

    def tries(self, part: int) -> int:
        """How often a part was submitted since the run was taken up."""
        return sum(part in s.parts for s in self.submissions if s.effort == self.effort)


class Place:
    """Where everything of a run on a cluster lies; the merged run is the directory itself."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is the run's, on a disk that every node sees."""
        self.run = RunDirectory(directory)
        self.folder = directory / FOLDER
        self.file = self.folder / "submitted.json"
        self.logs = self.folder / "logs"
        self.cancelled = self.folder / "cancelled"  # there once nothing is to be queued any more

    def part(self, index: int) -> RunDirectory:
        """The run directory of a part."""
        return RunDirectory(self.run.path / _PARTS / str(index))

    def script(self, submission: Submission) -> Path:
        """The script of an array."""
        return self.folder / f"{submission.name}.sh"

    @property
    def exists(self) -> bool:
        """Whether the run was ever submitted."""
        return self.file.exists()

    def read(self) -> Ledger:
        """What was submitted.

        Raises:
            RunError: nothing ever was.
            JournalError: the file is damaged.
        """
        try:
            return json.decode(read_plain(self.file), type=Ledger)
        except FileNotFoundError:
            raise RunError(
                f"expected a run on a cluster in {self.run.path}; nothing was submitted from "
                "there: name the --out of 'run --on slurm.toml'"
            ) from None
        except (OSError, MsgspecError, ValueError) as error:
            raise JournalError(
                f"expected {self.file} to say what was submitted; {error}: restore it, or merge "
                f"what is in {self.run.path / _PARTS}"
            ) from error

    def write(self, ledger: Ledger) -> None:
        """Keep what was submitted.

        Raises:
            StorageError: the disk took no more.
        """
        write_whole(self.file, json.format(json.encode(ledger), indent=1).decode() + "\n")
