"""The record of a run: one JSON object a line, appended and synced as soon as a cell is finished.

A line that was being written when the machine died is the last one and has no line end: it is
dropped, with a note. Any other unreadable line means that somebody edited the file: an error.
"""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.errors import JournalError, StorageError
from bench.files import open_plain, sync_directory, write_all
from bench.spec.checks import shown

SCHEMA = 1
NAME = "journal.jsonl"
# Thousands of samples fit; a longer line was not written by us.
MOST_LINE_BYTES = 2**26

Record = dict[str, Any]

_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def load(path: Path) -> tuple[list[Record], list[str]]:
    """Read every record of a journal, and notes about what had to be dropped.

    Raises:
        JournalError: no such file, none that may be read, a damaged line before the last, or a
            schema we do not know.
    """
    records, notes = [], []
    for number, line in enumerate(_lines(path), 1):
        if not line.endswith(b"\n"):
            notes.append(
                f"{path.name}: line {number} was cut short while it was written and is "
                "left out; --resume measures its cell again"
            )
        elif line.strip():
            records.append(_parse(line, path, number))
    return records, notes


def read(path: Path) -> list[Record]:
    """The records of a journal, a torn last line left out; see ``load``."""
    return load(path)[0]


def _lines(path: Path) -> Iterator[bytes]:
    """Lines with their ends; the last one may have none."""
    try:
        with os.fdopen(open_plain(path), "rb") as file:
            while line := file.readline(MOST_LINE_BYTES):
                if len(line) == MOST_LINE_BYTES:
                    raise JournalError(
                        f"expected lines of at most {MOST_LINE_BYTES} bytes in {path}; one is "
                        "longer, so it is no journal of ours: restore the file"
                    )
                yield line
    except FileNotFoundError:
        raise JournalError(
            f"expected a journal at {path}; there is none: name a directory that "
            "'teleport-bench run --out DIR' made"
        ) from None
    except OSError as error:
        raise JournalError(
            f"expected a journal at {path}, a plain file that may be read; {error.strerror}"
        ) from error


def _parse(line: bytes, path: Path, number: int) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise JournalError(
            f"expected JSON on line {number} of {path}; {error}: restore the file, or delete that "
            "line and run again with --resume"
        ) from None
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise JournalError(f"expected an object with a 'kind' on line {number} of {path}")
    schema = record.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        raise JournalError(
            f"expected schema {SCHEMA} on line {number} of {path}; got {shown(schema)}: "
            "use the version of teleport-bench that wrote it"
        )
    _check_names(record, path, number)
    return record


def _check_names(record: Record, path: Path, number: int) -> None:
    """What tells which cell or unit a record is of; a run is resumed by it."""
    needed = {"cell_id": str} if record["kind"] == "cell" else {}
    known = {"unit": str, "of": int}
    for name, kind in {**needed, **{k: known[k] for k in known if k in record}}.items():
        if type(record.get(name)) is not kind:
            wanted = "a text" if kind is str else "a whole number"
            raise JournalError(
                f"expected {name} on line {number} of {path} to be {wanted}; got "
                f"{shown(record.get(name))}: restore the file, or delete that line and run again "
                "with --resume"
            )


class Journal:
    """An open journal; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open for appending; a torn last line is cut off first.

        Raises:
            JournalError: it cannot be written.
        """
        self._path = path
        try:
            self._file = os.open(path, _APPEND, 0o644)
            self._size = _whole_size(path)
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
            sync_directory(path.parent)
        except OSError as error:
            raise JournalError(
                f"expected to write {path}; {error.strerror}: choose another --out"
            ) from error

    def append(self, *records: Record) -> None:
        """Write records, a line each, and wait until they are on the disk. NaN becomes null.

        Raises:
            StorageError: the disk took no more; what it took of these records is cut off again.
        """
        lines = [json.dumps(_plain({"schema": SCHEMA, **r}), allow_nan=False) for r in records]
        data = "".join(f"{line}\n" for line in lines).encode()
        try:
            write_all(self._file, data)
            os.fsync(self._file)
        except BaseException as error:
            # Also a signal that was raised in between; a torn line would be dropped later anyway.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            if isinstance(error, OSError):
                raise StorageError(
                    f"expected room for a line in {self._path}; {error.strerror}: every cell "
                    f"before it is safe there; make room, then add --out {self._path.parent} "
                    "--resume to go on"
                ) from error
            raise
        self._size += len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)


def _whole_size(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    size = 0
    for line in _lines(path):
        size += len(line) if line.endswith(b"\n") else 0
    return size


def _plain(value: Any) -> Any:
    """JSON has no NaN or infinity: null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
