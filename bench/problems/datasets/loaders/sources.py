"""Files read with suspicion: plain or gzip, never further than asked for, never unpickled."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bench.errors import DataError

# 20 times MNIST's training images; nothing the bench runs on is larger.
MAX_BYTES = 2**30

_GZIP_MAGIC = b"\x1f\x8b"
# A deflate code of 2 bits stands for at most 258 bytes, hence no file inflates further.
_MAX_INFLATION = 1032
_CHUNK = 16384


def read_text(path: Path) -> str:
    """The whole of a text file, plain or gzip.

    Raises:
        DataError: no such file, truncated, corrupt, not UTF-8, or larger than ``MAX_BYTES``.
    """
    with opened(path) as source:
        contents = source.read(MAX_BYTES + 1)
        if len(contents) > MAX_BYTES:
            raise damaged(path, f"at most {MAX_BYTES} bytes (the bench's limit)", "more")
        source.check_end()
    try:
        return contents.decode("utf-8")
    except UnicodeDecodeError as error:
        raise damaged(path, "text in UTF-8", f"{error.reason} at byte {error.start}") from error


def damaged(path: Path, expected: str, found: str) -> DataError:
    """The error for a file whose contents are wrong."""
    return DataError(f"{path}: expected {expected}; found {found}: replace the file")


class Source:
    """An uncompressed file."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        """``size`` is that of the file, ``capacity`` the most it can hold uncompressed."""
        self.path = path
        self.size = size
        self.capacity = size
        self._file = file

    def read(self, count: int) -> bytearray:
        """Up to ``count`` bytes, fewer only at the end."""
        return bytearray(self._file.read(count))

    def check_end(self) -> None:
        """Nothing to check: reading one byte too many has shown the end."""


class GzipSource(Source):
    """A gzip file, inflated no further than asked for."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        """``size`` is that of the packed file, ``capacity`` the most it can hold."""
        super().__init__(file, path, size)
        self.capacity = size * _MAX_INFLATION
        self._inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    def read(self, count: int) -> bytearray:
        """Up to ``count`` bytes, fewer only at the end, where the checksum has been compared."""
        inflated = bytearray()
        while len(inflated) < count and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_CHUNK)
            if not packed:
                raise damaged(
                    self.path,
                    "the gzip stream to go on",
                    f"its end at packed byte {self.size}, {len(inflated)} of {count} bytes "
                    "inflated: the file is truncated",
                )
            inflated += self._inflate(packed, count - len(inflated))
        return inflated

    def _inflate(self, packed: bytes, count: int) -> bytes:
        try:
            return self._inflater.decompress(packed, count)
        except zlib.error as error:
            last = self._file.tell()
            raise damaged(
                self.path,
                "a gzip stream",
                f"corruption between packed bytes {last - len(packed)} and {last} ({error})",
            ) from error

    def check_end(self) -> None:
        """Refuse what follows the gzip stream."""
        extra = len(self._inflater.unused_data) + self.size - self._file.tell()
        if extra:
            raise damaged(
                self.path,
                f"the gzip stream to end the file at packed byte {self.size - extra}",
                f"{extra} bytes after it",
            )


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """A file to read from, plain or gzip, told by its first bytes and not by its name.

    Raises:
        DataError: no such file, or one that cannot be read.
    """
    if not path.is_file():
        raise DataError(f"expected a file at {path}; there is no such file")
    try:
        with path.open("rb") as file:
            is_gzip = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            size = file.seek(0, 2)
            file.seek(0)
            yield (GzipSource if is_gzip else Source)(file, path, size)
    except OSError as error:
        raise DataError(f"{path}: expected a readable file; {error.strerror}") from error
