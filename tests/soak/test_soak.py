"""Sweeps with faults in their cells and interruptions at random: what is left tells the truth."""

import importlib.util
import random
from collections import Counter

import pytest
from driving import CELLS, HERE, Driver, check_resumed, journal_of, left_over

from bench.storage.journal import load
from bench.storage.records import cells_of, plain
from reports import write_report

WAYS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "terminal", "full")
FAULTS = 0.3


@pytest.fixture(scope="module")
def stand_in():
    """The worker's own module, for the lot that decides which cell has which fault."""
    place = HERE / "stand_in" / "bench" / "worker.py"
    spec = importlib.util.spec_from_file_location("stand_in_worker", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def soak(place, stand_in, monkeypatch, number, interruptions):
    """One sweep; how many of its cells ended in which status."""
    monkeypatch.setenv("FAULTS", str(FAULTS))
    monkeypatch.setenv("LOT", str(number))
    lot = random.Random(number)
    directory = place / f"run{number}"
    with Driver(FAULTS, str(number)) as driver:
        for _ in range(interruptions):
            how = lot.choice(WAYS)
            value = {"SIGKILL": lot.uniform(0, 1), "full": len(journal_of(directory)) + 3000}
            driver.run(directory, how, value.get(how, lot.randrange(CELLS)))
        _, twice = check_resumed(driver, directory, journal_of(directory))
    assert twice <= interruptions
    records, _ = load(directory / "journal.jsonl")
    for record in cells_of(records):
        fault = stand_in.fault_of(plain(record))
        expected = stand_in.STATUSES[fault.__name__] if fault else "ok"
        assert record.status == expected, record
        assert bool(record.reason) == (expected != "ok")
        assert record.status != "ok" or len(record.samples) == 3
    write_report(directory)
    for path in directory.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert not path.name.endswith(".draft")
    return Counter(record.status for record in cells_of(records))


def test_a_short_soak(tmp_path, stand_in, monkeypatch):
    statuses = soak(tmp_path, stand_in, monkeypatch, 4, interruptions=4)

    assert set(statuses) >= {"ok", "crashed", "timeout"}
    assert sum(statuses.values()) == CELLS
    assert left_over() == []


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_long_soak(tmp_path, stand_in, monkeypatch):
    statuses = Counter()
    for number in range(100, 160):
        statuses += soak(tmp_path, stand_in, monkeypatch, number, interruptions=6)

    print("\n60 sweeps, 360 interruptions:", dict(statuses))
    assert set(statuses) == {"ok", "oom", "crashed", "invalid", "timeout"}
    assert sum(statuses.values()) == 60 * CELLS
    assert left_over() == []
