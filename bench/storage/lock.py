"""One process at a time in a run directory.

The lock is the kernel's: it ends with the process that holds it, however that ends, so a lock file
left behind never keeps anybody out. What stands in the file only names the holder.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import RunError

NAME = ".lock"

_ASKING_SECONDS = 2.0


@contextmanager
def locked(directory: Path) -> Iterator[str | None]:
    """Hold a run directory, which is made if it is not there.

    Yields a note if the run before ended without releasing the lock, else None.

    Raises:
        RunError: another process holds it, or the directory cannot be written or locked.
    """
    from filelock import FileLock, Timeout  # with what it needs for HTTP, a fifth of a help's time

    file = directory / NAME
    # A lock file that counts by being there would outlive a killed process.
    lock = FileLock(file, blocking=False, fallback_to_soft=False)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        held = lock.acquire()
    except Timeout:
        raise RunError(
            f"expected {directory} to be free; {_holder(file) or 'another process'} is running in "
            "it: wait for its end, or choose another --out"
        ) from None
    except OSError as error:
        raise RunError(
            f"expected to write into {directory} and to lock it; {error.strerror}: choose another "
            "--out"
        ) from error
    with held:
        before = _holder(file)
        _name_holder(file, f"{os.getpid()}\n")
        try:
            yield before and f"the lock of {before}, which was killed, is stale and was taken over"
        finally:
            _name_holder(file, "")


def check_free(directory: Path) -> None:
    """Refuse a directory that a process holds for itself alone; on a disk without locks none does.

    Raises:
        RunError: one holds it.
    """
    from filelock import FileLock, Timeout

    file = directory / NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # Others that only ask do so for a moment.
        with FileLock(file, timeout=_ASKING_SECONDS, fallback_to_soft=False):
            pass
    except Timeout:
        raise RunError(
            f"expected {directory} to be shared; {_holder(file) or 'another process'} is running "
            "in it alone: wait for its end, or begin both with --workers"
        ) from None
    except OSError:
        return


def _holder(file: Path) -> str | None:
    """The process that last wrote its number into the lock file."""
    with file.open("rb") as lines:
        number = lines.read(20).strip()
    return f"process {int(number)}" if number.isdigit() else None


def _name_holder(file: Path, text: str) -> None:
    # The name is for messages alone: a full disk must not end a run here.
    with contextlib.suppress(OSError):
        file.write_text(text)
