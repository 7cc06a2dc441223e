"""Files of every schema version so far: all of them load, and mean what they meant."""

import csv
import shutil
import struct
from dataclasses import astuple
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from outcomes import outcome

from bench.comparison import history
from bench.comparison.exports import document, junit, markdown, pytest_benchmark
from bench.comparison.sources import read_source
from bench.storage import journal
from bench.storage.records import cells_of, kind_of
from reports import write_report

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = sorted(path for path in GOLDEN.glob("schema-*"))
TABLES = ("runtime", "samples", "preservation", "spectrum", "scaling", "ratios", "null_dimensions")

# Columns that were called otherwise: a call is now all that ``teleport`` does, checks included.
RENAMED = {f"call_sgd_steps{end}": f"phases_sgd_steps{end}" for end in ("", "_low", "_high")}

every_version = pytest.mark.parametrize("folder", VERSIONS, ids=lambda path: path.name)


def test_there_is_one_for_every_schema():
    wanted = [f"schema-{number}" for number in range(1, journal.SCHEMA + 1)]

    assert [folder.name for folder in VERSIONS] == wanted
    assert journal.SCHEMA == document.SCHEMA


@every_version
def test_a_journal_loads(folder):
    records, notes = journal.load(folder / "run" / "journal.jsonl")

    assert notes == []
    assert {kind_of(record) for record in records} == {"cell", "preservation", "spectrum"}
    assert len(cells_of(records)) == 9
    assert read_source(folder / "run").measured["wall"]


@every_version
@pytest.mark.parametrize("name", TABLES)
def test_a_csv_file_loads(folder, name):
    table = pd.read_csv(folder / "run" / f"{name}.csv")

    assert len(table) > 0
    assert "Unnamed" not in " ".join(table.columns)


@pytest.fixture(scope="module")
def derived(tmp_path_factory):
    """Every version's run with its CSV files derived by the present code."""
    found = {}
    for folder in VERSIONS:
        run = tmp_path_factory.mktemp(folder.name) / "run"
        run.mkdir()
        for name in ("journal.jsonl", "spec.toml", "environment.json"):
            shutil.copy(folder / "run" / name, run)
        write_report(run)
        found[folder] = run
    return found


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@every_version
@pytest.mark.parametrize("name", ["runtime", "samples"])
def test_its_times_are_derived_again_to_the_last_digit(folder, name, derived):
    before, now = rows(folder / "run" / f"{name}.csv"), rows(derived[folder] / f"{name}.csv")

    assert [{key: row[RENAMED.get(key, key)] for key in before[0]} for row in now] == before


@every_version
def test_what_was_not_measured_then_is_empty(folder, derived):
    for row in rows(derived[folder] / "runtime.csv"):
        assert (row["call_s"], row["call_sgd_steps"], row["calls"]) == ("", "", "0")


@every_version
def test_floats_of_a_csv_file_are_those_of_the_journal_bit_for_bit(folder):
    records, _ = journal.load(folder / "run" / "journal.jsonl")
    cells = {r.cell_id: r for r in cells_of(records)}
    exact = [
        struct.pack("<d", getattr(sample, name))
        for record in cells.values()
        for sample in record.samples
        for name in ("seconds", "prepare_s", "steps_s")
    ]
    table = rows(folder / "run" / "samples.csv")
    written = [
        struct.pack("<d", float(row[name]))
        for row in table
        for name in ("seconds", "prepare_s", "steps_s")
    ]

    assert len(exact) > 100
    assert sorted(written) == sorted(exact)


@every_version
def test_json_of_a_comparison_loads(folder):
    found = document.load(folder / "gate.json")

    assert repr(astuple(found)) == repr(astuple(outcome()))


@every_version
def test_markdown_of_a_comparison_reads_as_it_did(folder):
    assert (folder / "gate.md").read_text() == markdown.dumps(outcome())


@every_version
def test_junit_of_a_comparison_reads_as_it_did(folder):
    before, now = ET.parse(folder / "junit.xml").getroot(), ET.fromstring(junit.dumps(outcome()))

    assert ET.canonicalize(ET.tostring(before)) == ET.canonicalize(ET.tostring(now))


@every_version
def test_a_history_loads(folder):
    entries = history.load(folder / "history.jsonl")

    assert len(entries) == 2
    assert [entry["exit_code"] for entry in entries] == [1, 1]
    series = history.series_of(entries)
    assert {len(each.seconds) for each in series} == {2}


@every_version
def test_a_file_for_pytest_benchmark_loads(folder):
    found = pytest_benchmark.loads((folder / "pytest-benchmark.json").read_text(), "golden")

    assert {len(side.seconds) for side in found["wall"].values()} == {7}
