"""Files that are old or new and never half, and reading that does not leave the run directory.

A file is written beside its place, synced, renamed over it, and its directory synced: without the
first sync the rename may reach the disk before the contents, without the last one the rename
itself may be lost after it was reported done.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from bench.errors import StorageError

DRAFT_SUFFIX = ".draft"

# A link or a pipe in a run directory that somebody else made must not lead out of it.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DRAFT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_whole(path: Path, content: str | bytes) -> None:
    """Replace ``path`` by ``content``: readers see the old file or the new one, also after a crash.

    A link at ``path`` is replaced, not followed.

    Raises:
        StorageError: the disk is full or cannot be written; the old file is still there.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}{DRAFT_SUFFIX}")
    try:
        data = content if isinstance(content, bytes) else content.encode(errors="replace")
        _write_synced(draft, data)
        os.replace(draft, path)  # noqa: PTH105  (one layer for every call that durability needs)
        sync_directory(path.parent)
    except OSError as error:
        raise StorageError(
            f"expected to write {path}; {error.strerror}: nothing that was there is changed; make "
            "room or choose a directory that can be written, and repeat"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(draft)  # noqa: PTH108


def _write_synced(path: Path, data: bytes) -> None:
    file = os.open(path, _DRAFT, 0o644)
    try:
        write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def write_all(file: int, data: bytes) -> None:
    """Write every byte; the system may take fewer at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def sync_directory(path: Path) -> None:
    """Wait until the names in a directory are on the disk."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def open_plain(path: Path) -> int:
    """Open a plain file for reading; a link, a pipe or a device is refused.

    Raises:
        OSError: no such file, or none that may be read.
    """
    file = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(None, "it is not a plain file")
    return file


def read_plain(path: Path) -> bytes:
    """The contents of a plain file; see ``open_plain``."""
    with os.fdopen(open_plain(path), "rb") as file:
        return file.read()


def remove_drafts(directory: Path) -> None:
    """Remove what a writer that was killed has left behind."""
    for draft in directory.glob(f".*{DRAFT_SUFFIX}"):
        draft.unlink(missing_ok=True)
