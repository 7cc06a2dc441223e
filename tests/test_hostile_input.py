"""Hostile input to every reader: an error of ours or a result, nothing touched elsewhere."""

import json
import random

import pytest
import synthetic_run
from fuzz_targets import SEEDS, TARGETS, TEXTS, TOKENS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from watching import watched

from bench.errors import BenchError
from reports import write_report

LONG = 5000
SHORT = 300


@st.composite
def mutated(draw, seeds):
    """One of the seeds with a few pieces taken out and others put in."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.integers(0, len(data)))
        lost = draw(st.integers(0, 12))
        data[place : place + lost] = draw(st.sampled_from(TOKENS) | st.binary(max_size=8))
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(TEXTS)
    | st.text(max_size=9)
    | st.integers(-(2**70), 2**70)
    | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TEXTS), inner, max_size=3)
    ),
    max_leaves=4,
)
RECORDS = [
    *synthetic_run.cells()[:2],
    synthetic_run.preservation("nullspace", 1.0, 1e-7, 4.0),
    synthetic_run.spectrum("0.weight", 1, 8, 0.5),
    {"schema": 1, "kind": "unheard of", "model": "mlp", "reason": "x", "rows": [{"step": 0}]},
]


@st.composite
def journals(draw):
    """Records with some of their fields, or of a field's own fields, replaced."""
    records = []
    for original in draw(st.lists(st.sampled_from(RECORDS), max_size=4)):
        record = json.loads(json.dumps(original))
        for name in draw(st.lists(st.sampled_from(sorted(record)), max_size=2)):
            inner = record[name][0] if isinstance(record[name], list) and record[name] else None
            if isinstance(inner, dict) and draw(st.booleans()):
                inner[draw(st.sampled_from(sorted(inner)))] = draw(VALUES)
            elif name not in ("schema", "kind"):
                record[name] = draw(VALUES)
        records.append(json.dumps(record))
    return "".join(f"{record}\n" for record in records).encode()


def inputs(name):
    if name in ("journal", "resume"):
        return journals() | mutated(SEEDS[name])
    return mutated(SEEDS[name]) | st.binary(max_size=60)


def outcome(name, data, folder):
    """Whether an input was read; fails for anything but a result or an error of ours."""
    with watched(folder) as touched:
        try:
            TARGETS[name](data, folder)
        except BenchError as error:
            read = False
            assert str(error)
        else:
            read = True
    assert touched == []
    return read


def explore(name, folder, count):
    """How many examples were read and how many were refused."""
    found = []

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs(name))
    def check(data):
        found.append(outcome(name, data, folder))

    check()
    return found.count(True), found.count(False)


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_read(name, folder):
    results = [outcome(name, data, folder) for data in SEEDS[name]]
    # Those of Tiny-ImageNet's lists name images that are not there.
    assert results[0] or name == "listing"


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_input_is_read_or_refused(name, folder):
    read, refused = explore(name, folder, SHORT // len(TARGETS) + 1)
    assert read + refused > 0


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_five_thousand_hostile_inputs(tmp_path):
    counts = {}
    for name in TARGETS:
        (tmp_path / name).mkdir()
        counts[name] = explore(name, tmp_path / name, LONG // len(TARGETS) + 1)
    print("\nread and refused:", counts)
    assert sum(map(sum, counts.values())) >= LONG
    # Any text is a cell of a CSV file.
    assert [name for name, (_, refused) in counts.items() if not refused] == ["csv_cells"]
    assert all(read for read, _ in counts.values())


@pytest.mark.parametrize("seed", range(3))
def test_a_page_of_hostile_records_stays_in_its_directory(tmp_path, seed):
    lot = random.Random(seed)
    records = []
    for original in RECORDS:
        record = {**original}
        for name in ("variant", "model", "dataset", "reason", "layer", "memory_note", "start"):
            if name in record and lot.random() < 0.7:
                record[name] = lot.choice(TEXTS)
        records.append(record)
    outside = tmp_path / "outside"
    outside.write_text("as it was")
    directory = synthetic_run.write(tmp_path / "run", records)
    (directory / "report.html").symlink_to(outside)
    (directory / "runtime.csv").symlink_to(outside)
    write_report(directory)
    with watched(directory) as touched:
        write_report(directory)
    assert touched == []
    assert outside.read_text() == "as it was"
    assert not (directory / "report.html").is_symlink()


def test_what_is_touched_outside_is_seen(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    with watched(inside) as touched:
        (inside / "fine").write_text("x")
        assert touched == []
        (tmp_path / "beside").write_text("x")
        (inside / ".." / "beside").read_text()
        (tmp_path / "beside").unlink()
    assert [event for event, _ in touched] == ["open", "open", "os.remove"]
