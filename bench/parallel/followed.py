"""The records of a run while several runners add to them: only what is new is read."""

import os
from pathlib import Path

from bench.files import open_plain
from bench.storage.journal import NAME, files_of, parse
from bench.storage.records import CellRecord, Record, typed


class Followed:
    """What the journals of a run directory held when they were last looked at, unit by unit."""

    def __init__(self, directory: Path) -> None:
        self._journal = directory / NAME
        self._read: dict[Path, tuple[int, int]] = {}  # bytes and lines of each file
        self._of: dict[str, list[Record]] = {}

    def of(self, unit: str) -> list[Record]:
        """The records of a unit; those of a block are its cells."""
        return self._of.get(unit, [])

    def look(self) -> None:
        """Read what was added.

        Raises:
            JournalError: a line that is none of ours.
        """
        for file in files_of(self._journal):
            start, number = self._read.get(file, (0, 0))
            with os.fdopen(open_plain(file), "rb") as added:
                added.seek(start)
                for line in added:
                    if not line.endswith(b"\n"):  # being written, or never finished
                        break
                    start, number = start + len(line), number + 1
                    self._take(line, number, file)
            self._read[file] = (start, number)

    def _take(self, line: bytes, number: int, file: Path) -> None:
        record = typed(parse(line, file, number), number, file) if line.strip() else None
        if record is not None:
            unit = record.block_id if isinstance(record, CellRecord) else record.unit
            self._of.setdefault(unit or "", []).append(record)
