"""The IDX format of MNIST and its relatives, read with suspicion.

Big-endian: two zero bytes, a type code, the number of dimensions, one uint32 a dimension, then the
values in row-major order. Source: "The IDX file format", http://yann.lecun.com/exdb/mnist/.

Nothing is allocated before the header is known to fit the file, and a compressed file is inflated
to one byte more than its header promises, never further. Byte numbers in messages count from 0 in
the uncompressed contents, unless they say "packed".
"""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench.errors import DataError

# 20 times MNIST's training images; nothing the bench runs on is larger.
MAX_BYTES = 2**30
# Samples, channels, rows, columns.
MAX_DIMENSIONS = 4

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"
# A deflate code of 2 bits stands for at most 258 bytes, hence no file inflates further.
_MAX_INFLATION = 1032
_CHUNK = 16384


@dataclass(frozen=True)
class IdxHeader:
    """What the first bytes promise: the values' type, their shape, and how long all that is.

    Attributes:
        dtype: numpy type, big-endian.
        shape: one to four sizes, each at least 1.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """Bytes of the header itself."""
        return 4 + 4 * len(self.shape)

    @property
    def payload(self) -> int:
        """Bytes of the values that follow it."""
        return self.dtype.itemsize * math.prod(self.shape)


def read_header(path: Path) -> IdxHeader:
    """Read type and shape only, and check that a file of this size can hold them.

    Raises:
        DataError: see ``read_idx``.
    """
    with _opened(path) as source:
        return _header(source)


def read_idx(path: Path) -> NDArray[Any]:
    """Read a whole IDX file, plain or gzip (told by its first bytes, not by its name).

    Returns:
        Array of the header's shape, in this machine's byte order.

    Raises:
        DataError: no such file, not IDX, truncated, corrupt, longer than it says, or larger than
            ``MAX_BYTES``; names the file, what was expected and what was found at which byte.
    """
    with _opened(path) as source:
        header = _header(source)
        values = source.read(header.payload + 1)
        if len(values) < header.payload:
            raise damaged(
                path,
                f"{header.payload} bytes of values after the header of {header.length}",
                f"only {len(values)}, the end is at byte {header.length + len(values)}",
            )
        if len(values) > header.payload:
            raise damaged(
                path,
                f"the end at byte {header.length + header.payload}, as the header's shape "
                f"{header.shape} has it",
                "at least one byte more",
            )
        source.check_end()
    array = np.frombuffer(values, dtype=header.dtype).reshape(header.shape)
    return array.astype(header.dtype.newbyteorder("="), copy=False)


def damaged(path: Path, expected: str, found: str) -> DataError:
    """The error for a file whose contents are wrong."""
    return DataError(f"{path}: expected {expected}; found {found}: replace the file")


class _PlainSource:
    """An uncompressed file."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.capacity = size
        self._file = file

    def read(self, count: int) -> bytearray:
        return bytearray(self._file.read(count))

    def check_end(self) -> None:
        """Nothing to check: reading one byte too many has shown the end."""


class _GzipSource:
    """A gzip file, inflated no further than asked for."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.capacity = size * _MAX_INFLATION
        self._file = file
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


_Source = _PlainSource | _GzipSource


@contextmanager
def _opened(path: Path) -> Iterator[_Source]:
    if not path.is_file():
        raise DataError(f"expected an IDX file at {path}; there is no such file")
    try:
        with path.open("rb") as file:
            is_gzip = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            size = file.seek(0, 2)
            file.seek(0)
            yield (_GzipSource if is_gzip else _PlainSource)(file, path, size)
    except OSError as error:
        raise DataError(f"{path}: expected a readable file; {error.strerror}") from error


def _header(source: _Source) -> IdxHeader:
    start = bytes(source.read(4))
    if len(start) < 4:
        raise damaged(source.path, "an IDX header of at least 4 bytes", f"{len(start)} bytes")
    zeros, code, dimensions = start[:2], start[2], start[3]
    if zeros != b"\0\0" or code not in _TYPES:
        known = ", ".join(f"{known:02x}" for known in _TYPES)
        raise damaged(
            source.path,
            f"IDX (bytes 0 and 1 zero, byte 2 one of {known}) or gzip",
            f"{start.hex(' ')} at byte 0",
        )
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise damaged(source.path, f"1 to {MAX_DIMENSIONS} dimensions at byte 3", str(dimensions))
    sizes = bytes(source.read(4 * dimensions))
    if len(sizes) < 4 * dimensions:
        raise damaged(
            source.path,
            f"{dimensions} dimensions, {4 * dimensions} bytes from byte 4",
            f"{len(sizes)} bytes",
        )
    shape = tuple(int(size) for size in np.frombuffer(sizes, dtype=">u4"))
    header = IdxHeader(np.dtype(_TYPES[code]), shape)
    _check_fits(header, source)
    return header


def _check_fits(header: IdxHeader, source: _Source) -> None:
    if 0 in header.shape:
        byte = 4 + 4 * header.shape.index(0)
        raise damaged(source.path, "dimensions of at least 1", f"a 0 at byte {byte}")
    promised = header.length + header.payload
    room = min(source.capacity, MAX_BYTES)
    if promised > room:
        limit = "the bench's limit" if room == MAX_BYTES else f"the most {source.size} bytes hold"
        raise damaged(
            source.path,
            f"a header that promises at most {room} bytes ({limit})",
            f"the shape {header.shape} at byte 4, {promised} bytes",
        )
