"""Every reader of foreign input as a function of bytes: it reads them, or refuses by name.

A target returns on success and on errors of ours; anything else that it raises is a bug. Seeds
are inputs to begin from, tokens what a mutation puts in.
"""

import csv
import io
import json
import math
import struct
from contextlib import suppress

import pandas as pd
import synthetic_run
from idx_files import idx_bytes, images_of, labels_of
from PIL import Image

from bench.errors import BenchError
from bench.machine.comparable import comparable_key
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.plan.shards import WHOLE, parse_shard
from bench.problems.datasets.loaders.cifar import KINDS, read_records
from bench.problems.datasets.loaders.idx import read_header, read_idx
from bench.problems.datasets.loaders.ptb import read_words
from bench.problems.datasets.loaders.series import read_series
from bench.problems.datasets.loaders.tiny_imagenet import (
    read_classes,
    read_photograph,
    validation_files,
)
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.variants import parse_variant
from bench.storage.journal import load as load_journal
from bench.storage.mismatch import environment_differences
from bench.storage.run_directory import RunDirectory, read_environment, read_spec
from reports import tables_of
from reports.run import harmless
from reports.sections.registered import sections
from reports.text.csv_files import csv as to_csv

sections()  # what draws writes a cache of fonts when it is first imported

FORMULAS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
PLAN = make_plan(load_preset("smoke").with_overrides(device="cpu"))


def spec(data, folder):
    (folder / "spec.toml").write_bytes(data)
    read = read_spec(RunDirectory(folder))
    (folder / "spec.toml").write_text(read.to_toml("again"), encoding="utf-8")
    assert read_spec(RunDirectory(folder)).digest() == read.digest()


def axis(data, _folder):
    read = parse_axis(_argument(data))
    assert parse_axis(str(read)) == read


def variant(data, _folder):
    read = parse_variant(_argument(data))
    assert str(parse_variant(str(read))) == str(read)


def shard(data, _folder):
    parse_shard(_argument(data))


def environment(data, folder):
    (folder / "environment.json").write_bytes(data)
    read = read_environment(RunDirectory(folder))
    comparable_key(read)
    assert environment_differences(read, read) == []
    environment_differences(read, {})


def resume(data, folder):
    """What a run that is resumed makes of the journal."""
    (folder / "journal.jsonl").write_bytes(data)
    make_units(PLAN, load_journal(folder / "journal.jsonl")[0], WHOLE)


def journal(data, folder):
    """What a report makes of the journal, up to its CSV files."""
    (folder / "journal.jsonl").write_bytes(data)
    for table in tables_of(folder).values():
        check_harmless(to_csv(table))


def csv_cells(data, _folder):
    text = harmless.text(_argument(data))
    check_harmless(to_csv(pd.DataFrame({"name": [text], "other": [text]}, dtype=object)))


def idx(data, folder):
    (folder / "file").write_bytes(data)
    shape = read_header(folder / "file").shape
    assert read_idx(folder / "file").shape == shape


def cifar_10(data, folder):
    (folder / "file").write_bytes(data)
    read_records(folder / "file", KINDS["cifar-10"])


def cifar_100(data, folder):
    (folder / "file").write_bytes(data)
    read_records(folder / "file", KINDS["cifar-100"])


def series(data, folder):
    (folder / "file").write_bytes(data)
    assert read_series(folder / "file").ndim == 2


def words(data, folder):
    (folder / "file").write_bytes(data)
    assert read_words(folder / "file")


def listing(data, folder):
    """The two lists of Tiny-ImageNet, whose entries become paths."""
    (folder / "val").mkdir(exist_ok=True)
    (folder / "wnids.txt").write_bytes(data)
    (folder / "val" / "val_annotations.txt").write_bytes(data)
    with suppress(BenchError):
        read_classes(folder)
    validation_files(folder, {"n02124075": 0})


def photograph(data, folder):
    (folder / "file").write_bytes(data)
    assert read_photograph(folder / "file").shape == (3, 64, 64)


def check_harmless(text):
    """No spreadsheet takes a cell for a formula, and no terminal moves its cursor."""
    assert all(c == "\n" or c.isprintable() or c.isspace() for c in text if ord(c) < 0xA0), text
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            assert not cell.startswith(FORMULAS) or _is_number(cell), cell


def _is_number(cell):
    try:
        return not math.isnan(float(cell))
    except ValueError:
        return False


def _argument(data):
    """As Python makes a word of the command line from bytes."""
    return data.decode("utf-8", "surrogateescape")


def _lines(records):
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _photographs():
    """A whole one, and one that claims to be as large as a JPEG can be."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 200)).save(file, "JPEG")
    size = struct.pack(">HH", 64, 64)
    return [file.getvalue(), file.getvalue().replace(size, b"\xff\xff\xff\xff", 1)]


TARGETS = {
    target.__name__: target
    for target in (
        *(spec, axis, variant, shard, environment, resume, journal, csv_cells),
        *(idx, cifar_10, cifar_100, series, words, listing, photograph),
    )
}

_RECORDS = [
    *synthetic_run.cells()[:2],
    synthetic_run.preservation("nullspace", 1.0, 1e-7, 4.0),
    synthetic_run.spectrum("0.weight", 1, 8, 0.5),
]
_JOURNAL = _lines(_RECORDS)
SEEDS = {
    "spec": [
        load_preset(name).to_toml("teleport-bench run").encode() for name in ("smoke", "spectrum")
    ],
    "axis": [b"d=64,128,256", b"d=64:4096:x2", b"t=1:9:+2", b"b=1"],
    "variant": [b"nullspace:tau=0.99", b"symmetry:published=true", b"a:x=1e3,y=b"],
    "shard": [b"1/4", b"4/4"],
    "environment": [
        json.dumps({"torch": "2.13.0", "cpu_model": "x", "gpus": [{"name": "y"}]}).encode()
    ],
    "resume": [_JOURNAL],
    "journal": [_JOURNAL],
    "csv_cells": [b"=cmd|' /C calc'!A0", b'a,"b"\r\n', "\u202e\uff1d1".encode()],
    "idx": [idx_bytes(images_of(1)), idx_bytes(labels_of(9))],
    "cifar_10": [bytes([3]) + bytes(3072)],
    "cifar_100": [bytes([3, 4]) + bytes(3072)],
    "series": [b"1,2.5,-3e4\n4,5,6\n", b"0.5\n"],
    "words": [b" a b <unk>\n c d\n"],
    "listing": [b"n02124075\nn04067472\n", b"val_0.JPEG\tn02124075\t0\t0\t9\t9\n"],
    "photograph": _photographs(),
}
TEXTS = (
    *("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\uff1d1", "\t=1", "\r\n=1", "\x00"),
    *("\x1b[31m", "\x1b]0;x\x07", "\x9b2J", "\u202e", "\u200b", "\u2028", "\ufeff", "'=1"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "{{ 7*7 }}", "{% raw %}"),
    *("../../../../tmp/touched", "/etc/passwd", "%s%n", "$(touch /tmp/touched)", "$\\frac$"),
    *("a" * 500, "1" * 5000, "é", "\U0001f4a3"),
)
TOKENS = [
    *(text.encode() for text in TEXTS),
    *(b"nan", b"inf", b"-1", b"0", b"1e999", b"9" * 400, b"null", b"true", b"{}", b"[]", b'""'),
    *(b"[" * 2000, b'{"a":' * 2000, b"\n", b"\r", b"=", b",", b":", b'"', b"\\ud800", b"\xff\xfe"),
    *(b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"),
    *(b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff", b"x2", b":+1", b"[sampling]\n", b"seed = 1e9\n"),
]
