"""One process at a time in a run directory.

The lock is the kernel's (``flock``): it ends with the process that holds it, however that ends, so
a lock file left behind never keeps anybody out. What stands in the file only names the holder.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import RunError

NAME = ".lock"

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def locked(directory: Path) -> Iterator[str | None]:
    """Hold a run directory, which is made if it is not there.

    Yields:
        A note if the run before ended without releasing the lock, else None.

    Raises:
        RunError: another process holds it, or the directory cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = os.open(directory / NAME, _FLAGS, 0o644)
    except OSError as error:
        raise RunError(
            f"expected to write into {directory}; {error.strerror}: choose another --out"
        ) from error
    try:
        _take(file, directory)
        before = _holder(file)
        _name_holder(file, f"{os.getpid()}\n")
        try:
            yield before and f"the lock of {before}, which was killed, is stale and was taken over"
        finally:
            _name_holder(file, "")
    finally:
        os.close(file)


def _take(file: int, directory: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(
            f"expected {directory} to be free; {_holder(file) or 'another process'} is running in "
            "it: wait for its end, or choose another --out"
        ) from None
    except OSError as error:
        raise RunError(
            f"expected a file system that can lock {directory / NAME}; {error.strerror}: "
            "choose an --out on a local disk"
        ) from error


def _holder(file: int) -> str | None:
    """The process that last wrote its number into the lock file."""
    number = os.pread(file, 20, 0).strip()
    return f"process {int(number)}" if number.isdigit() else None


def _name_holder(file: int, text: str) -> None:
    os.ftruncate(file, 0)
    # The name is for messages alone: a full disk must not end a run here.
    with contextlib.suppress(OSError):
        os.pwrite(file, text.encode(), 0)
