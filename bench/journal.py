"""The record of a run: one JSON object a line, appended and synced as soon as a cell is finished.

A line that was being written when the machine died is the last one and has no line end: it is
dropped, with a note. Any other unreadable line means that somebody edited the file: an error.
"""

import json
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.errors import JournalError

SCHEMA = 1
NAME = "journal.jsonl"

Record = dict[str, Any]


def load(path: Path) -> tuple[list[Record], list[str]]:
    """Read every record of a journal, and notes about what had to be dropped.

    Raises:
        JournalError: no such file, a damaged line before the last, or a schema we do not know.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise JournalError(
            f"expected a journal at {path}; there is none: name a directory that "
            "'teleport-bench run --out DIR' made"
        ) from None
    except OSError as error:
        raise JournalError(f"expected a readable journal at {path}; {error.strerror}") from error
    *lines, tail = data.split(b"\n")
    records = [_parse(line, path, number) for number, line in enumerate(lines, 1) if line.strip()]
    notes = []
    if tail.strip():
        notes.append(
            f"{path.name}: line {len(lines) + 1} was cut short while it was written and is "
            "left out; --resume measures its cell again"
        )
    return records, notes


def read(path: Path) -> list[Record]:
    """The records of a journal, a torn last line left out; see ``load``."""
    return load(path)[0]


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
    if record.get("schema") != SCHEMA:
        raise JournalError(
            f"expected schema {SCHEMA} on line {number} of {path}; got {record.get('schema')!r}: "
            "use the version of teleport-bench that wrote it"
        )
    return record


class Journal:
    """An open journal; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open for appending; a torn last line is cut off first."""
        try:
            self._file = path.open("ab+")
        except OSError as error:
            raise JournalError(
                f"expected to write {path}; {error.strerror}: choose another --out"
            ) from error
        self._cut_torn_line()

    def _cut_torn_line(self) -> None:
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b"\n") + 1
        if whole != len(data):
            self._file.truncate(whole)

    def append(self, *records: Record) -> None:
        """Write records, a line each, and wait until they are on the disk. NaN becomes null."""
        lines = [json.dumps(_plain({"schema": SCHEMA, **r}), allow_nan=False) for r in records]
        self._file.write("".join(f"{line}\n" for line in lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _plain(value: Any) -> Any:
    """JSON has no NaN or infinity: null."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
