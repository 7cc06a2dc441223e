"""The IDX format of MNIST and its relatives, read with suspicion.

Big-endian: two zero bytes, a type code, the number of dimensions, one uint32 a dimension, then the
values in row-major order. Source: "The IDX file format", http://yann.lecun.com/exdb/mnist/.

Nothing is allocated before the header is known to fit the file, and a compressed file is inflated
to one byte more than its header promises, never further. Byte numbers in messages count from 0 in
the uncompressed contents, unless they say "packed".
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.problems.datasets.loaders.sources import MAX_BYTES, Source, damaged, opened

# Samples, channels, rows, columns.
MAX_DIMENSIONS = 4

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True)
class IdxHeader:
    """What the first bytes promise: the values' type, big-endian, and one to four sizes >= 1."""

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
    with opened(path) as source:
        return _header(source)


def read_idx(path: Path) -> NDArray[Any]:
    """A whole IDX file, plain or gzip (told by its first bytes), in this machine's byte order.

    Raises:
        DataError: no such file, not IDX, truncated, corrupt, longer than it says, or larger than
            ``MAX_BYTES``; names the file, what was expected and what was found at which byte.
    """
    with opened(path) as source:
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


def _header(source: Source) -> IdxHeader:
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


def _check_fits(header: IdxHeader, source: Source) -> None:
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
