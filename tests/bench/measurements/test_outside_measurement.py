"""A measurement from a package outside the source tree, by its entry point alone."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from outside_package import write_package

from bench.errors import RegistrationError, SpecError
from bench.measurements.measurement import measurements
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.runner.runner import Runner, Summary
from bench.spec.preset import load_preset
from bench.spec.sections import MEASUREMENTS
from bench.spec.spec import Spec
from bench.storage.journal import Journal, lines, load
from bench.storage.records import FailureRecord, PreservationRecord, foreign_kinds, plain

TOY = r'''
"""Counts, and dies or complains where it is told to."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from bench.plan.units import Unit
from bench.storage.records import Record


@dataclass(frozen=True)
class Settings:
    counts: tuple[int, ...] = (3,)
    trouble: str = ""
    journal: str = ""


class Count(Record, kw_only=True, tag="count"):
    number: int
    seen_on_disk: int


class Toy:
    name = "toy"
    settings = Settings
    records = (Count,)
    runs = "toy_package:count"

    def units(self, plan):
        settings = plan.spec.sections.get("toy")
        if settings is None:
            return []
        return [
            Unit(
                unit=f"toy{count}",
                label=f"toy {count}",
                command={"do": "toy", "count": count, "trouble": settings.trouble,
                         "journal": settings.journal},
                base={"kind": "count", "unit": f"toy{count}", "of": count},
                cell_ids=(f"toy{count}",),
            )
            for count in settings.counts
        ]


def records_in(journal, wanted):
    """So many lines are there, or never come."""
    last = time.monotonic() + 20
    while journal.is_file() and time.monotonic() < last:
        if (found := journal.read_bytes().count(b"\n")) >= wanted:
            return found
        time.sleep(0.01)
    return 0


def count(command, emit):
    done = len(command.get("done", ()))
    for number in range(command["count"]):
        seen = records_in(Path(command["journal"]), number)
        if number == 2 and command["trouble"] == "dies":
            os._exit(3)
        if number == 2 and command["trouble"] == "raises":
            raise ValueError("no luck today")
        record = {"number": number, "seen_on_disk": seen}
        if number == 1 and command["trouble"] == "wrong":
            record["number"] = "one"
        if number == 1 and command["trouble"] == "kind":
            record["kind"] = "unheard of"
        emit({"event": "record", "record": record})


TOY = Toy()
'''


class Silent:
    def begin(self, units: Any) -> None: ...

    def unit(self, unit: Any, records: Any, seconds: float) -> None: ...

    def end(self) -> None: ...


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package on the path of this process and of its workers."""
    folder = tmp_path / "site"
    entries = {MEASUREMENTS: {"toy": "toy_package:TOY"}}
    write_package(folder, "toy_package", TOY, entries)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    foreign_kinds.cache_clear()
    yield
    foreign_kinds.cache_clear()


def spec_with(**settings: Any) -> Spec:
    """A spec that times nothing on the disk yet and asks for the toy in a section of its own."""
    text = load_preset("smoke").to_toml("").replace("enabled = true", "enabled = false")
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    return Spec.from_toml(f"{text}\n[toy]\n{lines}").with_overrides(device="cpu", threads=1)


def carry_out(spec: Spec, path: Path) -> Summary:
    """Run the toy's units alone."""
    records = load(path)[0] if path.exists() else []
    units = [u for u in make_units(make_plan(spec), records) if u.command["do"] == "toy"]
    runner = Runner(Silent(), silence=60.0)
    with Journal(path) as journal:
        summary = runner.run(units, journal, None)
    runner.close()
    return summary


@pytest.mark.usefixtures("installed")
def test_its_section_stands_in_the_spec_and_decides_what_the_spec_is() -> None:
    spec = spec_with(counts=[2, 4])

    assert Spec.from_toml(spec.to_toml("")) == replace(spec, budget=None)
    assert Spec.from_toml(spec.to_toml("")).sections["toy"].counts == [2, 4]
    assert spec.digest() != spec_with(counts=[2]).digest()
    with pytest.raises(SpecError, match=r"expected a key of \[toy\].*counts"):
        spec_with(count=[2])


def test_without_the_package_the_section_is_refused() -> None:
    with pytest.raises(SpecError, match=r"expected a key of a spec.*toy"):
        spec_with(counts=[2])


@pytest.mark.usefixtures("installed")
def test_its_units_come_after_ours_and_only_where_the_spec_has_its_section() -> None:
    names = [each.name for each in measurements()]
    ours = ["block", "spectrum", "preservation", "profile", "training", "probe", "descents"]
    assert names == [*ours, "networks", "ranks", "toy"]

    units = make_units(make_plan(spec_with(counts=[2, 4])), [])
    assert [u.unit for u in units if not u.is_block] == ["toy2", "toy4"]
    smoke = load_preset("smoke").with_overrides(device="cpu")
    assert "toy" not in {u.command["do"] for u in make_units(make_plan(smoke), [])}


@pytest.mark.usefixtures("installed")
def test_each_record_goes_into_the_journal_while_its_unit_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    spec = spec_with(counts=[3], journal=str(path))

    summary = carry_out(spec, path)

    records, notes = load(path)
    assert (summary.complete, notes) == (True, [])
    assert [(r.cell_id, plain(r)["number"], r.of) for r in records] == [
        ("toy3-1", 0, 3),
        ("toy3-2", 1, 3),
        ("toy3-3", 2, 3),
    ]
    assert [plain(r)["seen_on_disk"] for r in records] == [0, 1, 2]
    assert carry_out(spec, path).statuses == {}


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("trouble", "kept", "reason"),
    [
        ("raises", [0, 1], "ValueError: no luck today"),
        ("dies", [0, 1], "exit code 3"),
        ("wrong", [0, 2, 3, 4], r"expected what makes a count record; Expected `int`.*\$\.number"),
        ("kind", [0, 2, 3, 4], "expected a kind of record that a measurement names .*'unheard of'"),
    ],
)
def test_what_was_measured_before_a_failure_is_kept(
    tmp_path: Path, trouble: str, kept: list[int], reason: str
) -> None:
    path = tmp_path / "journal.jsonl"

    summary = carry_out(spec_with(counts=[5], trouble=trouble), path)

    records, _ = load(path)
    assert [plain(r)["number"] for r in records if r.status == "ok"] == kept
    (failure,) = [r for r in records if r.status != "ok"]
    assert summary.statuses == {"ok": len(kept), "crashed": 1}
    # Its own record needs a number, which nobody knows of a failure.
    assert isinstance(failure, FailureRecord)
    assert re.search(reason, failure.reason)
    assert failure.unit == failure.cell_id == "toy5"
    assert [r.cell_id for r in records if r.status == "ok"] == [f"toy5-{n + 1}" for n in kept]
    assert carry_out(spec_with(counts=[5], trouble=trouble), path).statuses == {}


@pytest.mark.usefixtures("installed")
def test_a_unit_that_was_interrupted_is_carried_out_again_and_replaces_its_records(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.jsonl"
    spec = spec_with(counts=[3])
    carry_out(spec, path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))

    (unit,) = [u for u in make_units(make_plan(spec), load(path)[0]) if u.command["do"] == "toy"]
    assert unit.command["done"] == ["toy3-1", "toy3-2"]
    carry_out(spec, path)

    ids = [record.cell_id for record in load(path)[0]]
    assert ids == ["toy3-1", "toy3-2", "toy3-1", "toy3-2", "toy3-3"]
    assert carry_out(spec, path).statuses == {}


def test_a_journal_of_it_can_be_read_without_the_package(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    carry_out(spec_with(counts=[2]), path)
    monkeypatch.setattr("bench.storage.records.entry_points.found", lambda group: {})
    foreign_kinds.cache_clear()

    records, notes = load(path)

    assert records == []
    assert notes[0].startswith("journal.jsonl: 2 of kind 'count' left out")
    assert len(lines(path)[0]) == 2


def test_one_that_cannot_be_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_package(
        tmp_path,
        "broken_toy",
        "import nothing_of_that_name\n",
        {MEASUREMENTS: {"toy": "broken_toy:TOY"}},
    )
    monkeypatch.syspath_prepend(str(tmp_path))

    with pytest.raises(RegistrationError, match=r"'toy' of teleport_bench.measurements at broken"):
        measurements()


def test_of_a_unit_of_ours_only_what_is_missing_is_measured(tmp_path: Path) -> None:
    """Preservation at three thresholds, of which the journal holds the first."""
    spec = load_preset("smoke").with_overrides(device="cpu", threads=1)
    section = replace(spec.preservation, taus=(1.0, 0.99, 0.9), variants=spec.variants[:1])
    spec = spec.with_overrides(preservation=section)
    path = tmp_path / "journal.jsonl"

    def units() -> list[Any]:
        records = load(path)[0] if path.exists() else []
        found = make_units(make_plan(spec), records)
        return [unit for unit in found if unit.command["do"] == "preservation"]

    def run() -> None:
        runner = Runner(Silent(), silence=60.0)
        with Journal(path) as journal:
            runner.run(units(), journal, None)
        runner.close()

    run()
    whole = path.read_bytes().splitlines(keepends=True)
    assert len(whole) == 3
    path.write_bytes(whole[0])
    run()

    again = [r for r in load(path)[0] if isinstance(r, PreservationRecord)]
    assert [(r.tau, r.of) for r in again] == [(1.0, 3), (0.99, 3), (0.9, 3)]
    assert path.read_bytes().splitlines(keepends=True) == whole
    assert units() == []
