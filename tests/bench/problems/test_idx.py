import gzip
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idx_files import CODES, header, idx_bytes, write

from bench.errors import DataError
from bench.problems.datasets.loaders import idx, sources
from bench.problems.datasets.loaders.idx import read_header, read_idx

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
VALID = idx_bytes(ARRAY)


def refusal(path):
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("kind", CODES)
def test_values_and_shape_survive_in_native_order(tmp_path, kind, suffix):
    written = np.array([[1, 2, 3], [100, 5, 6]], dtype=kind) * (1 if kind == "u1" else -1)
    path = write(tmp_path / f"file{suffix}", idx_bytes(written.astype(kind)))

    read = read_idx(path)

    assert np.array_equal(read, written.astype(kind))
    assert read.dtype == np.dtype(kind)
    assert read.dtype.isnative


def test_compression_is_told_by_content_not_by_name(tmp_path):
    plain = tmp_path / "plain.gz"
    plain.write_bytes(VALID)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(VALID))

    assert np.array_equal(read_idx(plain), ARRAY)
    assert np.array_equal(read_idx(packed), ARRAY)


def test_header_alone_is_read_without_the_values(tmp_path):
    path = write(tmp_path / "file.gz", VALID)
    assert read_header(path).shape == (2, 3, 4)


def test_incompressible_data_beyond_one_chunk_survives(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (5, 100, 100), dtype=np.uint8)
    path = write(tmp_path / "file.gz", idx_bytes(array))
    assert np.array_equal(read_idx(path), array)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "expected an IDX header of at least 4 bytes; found 0 bytes"),
        (VALID[:3], "expected an IDX header of at least 4 bytes; found 3 bytes"),
        (b"\x01" + VALID[1:], "found 01 00 08 03 at byte 0"),
        (b"\0\0\x07\x01" + VALID[4:], "byte 2 one of 08, 09, 0b, 0c, 0d, 0e"),
        (b"\0\0\x08\0", "expected 1 to 4 dimensions at byte 3; found 0"),
        (header(8, (1,) * 5) + b"x", "expected 1 to 4 dimensions at byte 3; found 5"),
        (VALID[:9], "expected 3 dimensions, 12 bytes from byte 4; found 5 bytes"),
        (header(8, (2, 0, 3)), "expected dimensions of at least 1; found a 0 at byte 8"),
        (VALID + b"x", "the end at byte 40, as the header's shape (2, 3, 4) has it; found"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_wrong_contents_are_refused_with_the_byte(tmp_path, pack, contents, message):
    path = tmp_path / "file"
    path.write_bytes(pack(contents))
    assert message in refusal(path)


def test_truncated_plain_file_is_refused_before_reading(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(VALID[:-1])
    message = refusal(path)
    assert "promises at most 39 bytes (the most 39 bytes hold)" in message
    assert "the shape (2, 3, 4) at byte 4, 40 bytes" in message


def test_too_few_values_in_a_whole_gzip_stream(tmp_path):
    path = write(tmp_path / "file.gz", VALID[:-1])
    message = refusal(path)
    assert "expected 24 bytes of values after the header of 16" in message
    assert "found only 23, the end is at byte 39" in message


def test_gzip_stream_cut_at_every_byte_is_truncated(tmp_path):
    packed = gzip.compress(VALID)
    path = tmp_path / "file.gz"
    for length in range(3, len(packed)):
        path.write_bytes(packed[:length])
        assert f"its end at packed byte {length}" in refusal(path)


def test_corrupt_gzip_stream_names_the_place(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (5, 100, 100), dtype=np.uint8)
    packed = bytearray(gzip.compress(idx_bytes(values)))
    packed[-8] ^= 1  # the checksum
    path = tmp_path / "file.gz"
    path.write_bytes(packed)
    message = refusal(path)
    assert f"and {len(packed)} (" in message
    assert "incorrect data check" in message
    assert "between packed bytes 0" not in message


def test_bytes_after_the_gzip_stream_are_refused(tmp_path):
    packed = gzip.compress(VALID)
    path = tmp_path / "file.gz"
    path.write_bytes(packed + b"x" * 40000)
    message = refusal(path)
    assert f"to end the file at packed byte {len(packed)}" in message
    assert "found 40000 bytes after it" in message


@pytest.mark.parametrize("shape", [(2**29,), (2**32 - 1,) * 4])
def test_header_that_promises_too_much_allocates_nothing(tmp_path, shape):
    enormous = header(8, shape) + b"x" * 100
    for path in (tmp_path / "file", tmp_path / "file.gz"):
        write(path, enormous)
        tracemalloc.start()
        message = refusal(path)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert "promises at most" in message
        assert peak < 2**20


def test_absolute_limit_holds_where_the_file_is_large_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(idx, "MAX_BYTES", 39)
    path = write(tmp_path / "file", VALID)
    assert "at most 39 bytes (the bench's limit)" in refusal(path)


def test_bomb_is_inflated_to_one_byte_more_than_promised(tmp_path, monkeypatch):
    inflated = []
    make = zlib.decompressobj

    class Counting:
        def __init__(self, wbits):
            self._inner = make(wbits)

        def __getattr__(self, name):
            return getattr(self._inner, name)

        def decompress(self, packed, count):
            inflated.append(len(out := self._inner.decompress(packed, count)))
            return out

    monkeypatch.setattr(sources.zlib, "decompressobj", Counting)
    path = write(tmp_path / "bomb.gz", VALID + b"\0" * 10**7)

    assert "at least one byte more" in refusal(path)
    assert sum(inflated) == len(VALID) + 1


def test_missing_file_and_folder_are_data_errors(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        assert "there is no such file" in refusal(path)


def test_unreadable_file_is_a_data_error(tmp_path, monkeypatch):
    path = write(tmp_path / "file", VALID)

    def refuse(self, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    assert "expected a readable file; Permission denied" in refusal(path)


def array_or_refusal(folder, contents):
    """Whatever the bytes, a DataError or an array that agrees with its own header."""
    path = folder / "fuzzed"
    path.write_bytes(contents)
    refused = ""
    try:
        array = read_idx(path)
    except DataError as error:
        refused = str(error)
    if refused:
        assert str(path) in refused
        return
    assert array.shape == read_header(path).shape
    assert array.size > 0
    if contents[:2] != b"\x1f\x8b":
        body = array.astype(array.dtype.newbyteorder(">")).tobytes()
        assert contents.endswith(body)
        assert len(contents) == 4 + 4 * array.ndim + len(body)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@settings(deadline=None, max_examples=200)
@given(
    start=st.sampled_from(
        [b"", b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\0\0", b"\0\0\x08"]
    ),
    rest=st.binary(max_size=200),
)
def test_random_bytes_give_an_array_or_a_data_error(folder, start, rest):
    array_or_refusal(folder, start + rest)


@settings(deadline=None, max_examples=300)
@given(
    packed=st.booleans(),
    edits=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), min_size=1, max_size=4),
    cut=st.integers(0, 100),
    extra=st.binary(max_size=4),
)
def test_mutated_files_give_an_array_or_a_data_error(folder, packed, edits, cut, extra):
    contents = bytearray(gzip.compress(VALID) if packed else VALID)
    for place, value in edits:
        contents[place % len(contents)] = value
    array_or_refusal(folder, bytes(contents[: len(contents) - cut // 10]) + extra)


@settings(deadline=None, max_examples=200)
@given(
    code=st.sampled_from([*CODES.values(), 0x0A]),
    shape=st.lists(st.integers(0, 5) | st.integers(0, 2**32 - 1), max_size=6),
    body=st.binary(max_size=400),
    packed=st.booleans(),
)
def test_any_header_over_any_body_gives_an_array_or_a_data_error(folder, code, shape, body, packed):
    contents = header(code, shape) + body
    array_or_refusal(folder, gzip.compress(contents) if packed else contents)
