"""The record of a run: one JSON object a line, appended and synced as soon as a cell is finished.

A line that was being written when the machine died is the last one and has no line end: it is
dropped, with a note. Any other unreadable line means that somebody edited the file: an error.

Runners that share a run directory have a file each, ``journal-OWNER.jsonl`` beside
``journal.jsonl``; who reads the latter reads them all. Where two of them measured one cell, because
each took the other for dead, the file that comes first by name has it.
"""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from msgspec import MsgspecError
from msgspec.json import Decoder, encode

from bench.errors import JournalError, StorageError
from bench.files import open_plain, sync_directory, write_all
from bench.plain_text import plain as text
from bench.spec.variants import SGD
from bench.storage.records import SCHEMA, Line, Record, plain, typed, upgraded

__all__ = [
    "NAME",
    "SCHEMA",
    "Journal",
    "Line",
    "Placed",
    "as_line",
    "each",
    "files_of",
    "lines",
    "load",
    "name_of",
    "parse",
    "placed",
    "read",
]

NAME = "journal.jsonl"
# Thousands of samples fit; a longer line was not written by us.
MOST_LINE_BYTES = 2**26

_DECODER = Decoder()  # four times as fast as json
_APPEND = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def load(path: Path) -> tuple[list[Record], list[str]]:
    """Read every record of a journal, and notes about what is left out.

    That is a last line that was cut short, and records of a kind that nothing installed here knows.

    Raises:
        JournalError: no such file, none that may be read, a damaged line before the last, a schema
            we do not know, or a value that the record may not have.
    """
    notes: list[str] = []
    records: list[Record] = []
    unknown: Counter[str] = Counter()
    for file, number, line in placed(path, notes):
        record = typed(line, number, file)
        if record is None:
            unknown[line["kind"]] += 1
        else:
            records.append(record)
    notes += [
        f"{path.name}: {count} of kind {text(kind)[:40]!r} left out, which no measurement "
        "installed here knows"
        for kind, count in unknown.items()
    ]
    return records, notes


def read(path: Path) -> list[Record]:
    """The records of a journal alone; see ``load``."""
    return load(path)[0]


def lines(path: Path) -> tuple[list[Line], list[str]]:
    """The lines of a journal as they stand there, brought to the present schema, and notes.

    Raises:
        JournalError: as ``load``, but for what a line says besides its kind and schema.
    """
    notes: list[str] = []
    return list(each(path, notes)), notes


def each(path: Path, notes: list[str]) -> Iterator[Line]:
    """The same one after another, for who need not hold them all; ``notes`` is added to.

    Raises:
        JournalError: as ``lines``, when it comes to the line.
    """
    return (line for _, _, line in placed(path, notes))


class Placed(NamedTuple):
    """A line, in which file it is, and which record of it."""

    file: Path
    number: int
    line: Line


def placed(path: Path, notes: list[str]) -> Iterator[Placed]:
    """The same with the place of each.

    Raises:
        JournalError: as ``lines``, when it comes to the line.
    """
    files = files_of(path)
    holders: dict[str, Path] = {}
    for file in files:
        for number, line in enumerate(_of_file(file, notes), 1):
            kept = line if len(files) == 1 else _once(line, file, holders)
            if kept is not None:
                yield Placed(file, number, kept)


def files_of(path: Path) -> list[Path]:
    """The files of a journal: those of runners that shared the directory come after it, by name."""
    owned = path.parent.glob(name_of("*")) if path.name == NAME else ()
    return [path, *sorted(owned)]


def name_of(owner: str) -> str:
    """The name of the file of one of several runners in a directory."""
    return f"{Path(NAME).stem}-{owner}{Path(NAME).suffix}"


def _once(line: Line, file: Path, holders: dict[str, Path]) -> Line | None:
    """A line unless another file has its cell; SGD stays, for what was timed beside it there."""
    cell = line.get("cell_id")
    if not isinstance(cell, str) or line["kind"] == "reference":
        return line
    if holders.setdefault(cell, file) == file:
        return line
    is_partner = line["kind"] == "cell" and line.get("method") == SGD.method
    return {**line, "kind": "reference"} if is_partner else None


def _of_file(path: Path, notes: list[str]) -> Iterator[Line]:
    for number, line in enumerate(_lines(path), 1):
        if line.endswith(b"\n"):
            if line.strip():
                yield parse(line, path, number)
        # The file of one of several runners may be growing; what one that was killed had not
        # written is measured by whoever takes its work over.
        elif path.name == NAME or not path.match(name_of("*")):
            notes.append(
                f"{path.name}: line {number} was cut short while it was written and is "
                "left out; --resume measures its cell again"
            )


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


def parse(line: bytes, path: Path, number: int) -> Line:
    """A line of a file as it stands there, brought to the present schema.

    Raises:
        JournalError: it is none of ours.
    """
    try:
        record = _decoded(line)
    except (ValueError, RecursionError) as error:
        raise JournalError(
            f"expected JSON on line {number} of {path}; {error}: restore the file, or delete that "
            "line and run again with --resume"
        ) from None
    if not isinstance(record, dict) or not isinstance(record.get("kind"), str):
        raise JournalError(f"expected an object with a 'kind' on line {number} of {path}")
    return upgraded(record, f"on line {number} of {path}")


def _decoded(line: bytes) -> Any:
    """The value of a line; what is no strict JSON, as NaN, is left to json."""
    try:
        return _DECODER.decode(line)
    except (MsgspecError, ValueError):
        return json.loads(line)


class Journal:
    """An open journal; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open for appending; a torn last line is cut off first; JournalError: not writable."""
        self.path = path
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

    def append(self, *records: Record | Line) -> None:
        """Write records, a line each, and wait until they are on the disk. NaN becomes null.

        Raises:
            StorageError: the disk took no more; what it took of these records is cut off again.
        """
        data = b"".join(map(as_line, records))
        try:
            write_all(self._file, data)
            os.fsync(self._file)
        except BaseException as error:
            # Of whole lines an interrupt takes nothing back: they are measured, and there.
            whole = os.fstat(self._file).st_size == self._size + len(data)
            if isinstance(error, OSError) or not whole:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._size)
            if isinstance(error, OSError):
                raise StorageError(
                    f"expected room for a line in {self.path}; {error.strerror}: every cell "
                    f"before it is safe there; make room, then add --out {self.path.parent} "
                    "--resume to go on"
                ) from error
            raise
        self._size += len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


def as_line(record: Record | Line) -> bytes:
    """A record as a line; JSON has no NaN and no infinity: null."""
    fields = plain(record) if isinstance(record, Record) else {"schema": SCHEMA, **record}
    return encode(fields) + b"\n"


def _whole_size(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    size = 0
    for line in _lines(path):
        size += len(line) if line.endswith(b"\n") else 0
    return size
