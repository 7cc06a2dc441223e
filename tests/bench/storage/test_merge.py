"""Shards of one sweep, from plan to merged run; nothing is measured."""

import json
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest
import typer

from bench.cli.merge import merge
from bench.errors import JournalError, RunError, SpecError
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.plan.shards import Shard, parse_shard, share
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.storage.journal import Journal, read
from bench.storage.merge import merge_runs
from bench.storage.run_directory import RunDirectory, open_run, write_environment

SPEC = load_preset("smoke").with_overrides(device="cpu", threads=1)
ENVIRONMENT = {"torch": "2.13.0", "cpu_model": "made up", "torch_threads": 1, "load_average": [0]}


def shard(path: Path, part: Shard, spec: Spec = SPEC, **environment: object) -> Path:
    """A finished shard with made-up records."""
    run = open_run(path, spec, "teleport-bench run", resume=False)
    write_environment(run, {**ENVIRONMENT, **environment})
    with Journal(run.journal) as journal:
        for unit in make_units(share(make_plan(spec), part), [], part):
            for cell_id in unit.cell_ids:
                facts = {"method": "m", "variant": "v", **unit.base}
                journal.append({**facts, "cell_id": cell_id, "status": "ok"})
    return path


def units_of(path: Path) -> set[str]:
    return {record.unit or record.cell_id for record in read(path / "journal.jsonl")}


@pytest.mark.parametrize("count", range(1, 8))
def test_the_shards_together_are_the_whole_and_share_nothing(count: int) -> None:
    whole = {unit.unit for unit in make_units(make_plan(SPEC), [])}
    parts = [
        [u.unit for u in make_units(share(make_plan(SPEC), part), [], part)]
        for part in (Shard(index, count) for index in range(1, count + 1))
    ]

    assert sorted(chain.from_iterable(parts)) == sorted(whole)


def test_a_part_named_twice_is_taken_once(tmp_path: Path) -> None:
    part = shard(tmp_path / "1", Shard(1, 3))
    (tmp_path / "2").mkdir()

    _, cells = merge_runs([part, tmp_path / "2" / ".." / "1"], tmp_path / "all", "merge")

    assert cells == share(make_plan(SPEC), Shard(1, 3)).cell_count


def test_a_merge_without_all_parts_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.write_report", lambda path: path)  # the records are made up
    parts = [shard(tmp_path / str(i), Shard(i, 2)) for i in (1, 2)]

    with pytest.raises(typer.Exit) as ended:
        merge([parts[0]], tmp_path / "half")
    left = len(make_units(make_plan(SPEC), read(parts[0] / "journal.jsonl")))
    assert ended.value.exit_code == 4
    assert f"incomplete: {left} points or measurements of the" in capsys.readouterr().err

    merge(parts, tmp_path / "all")
    assert "incomplete" not in capsys.readouterr().err


def test_merged_shards_hold_every_cell_once(tmp_path: Path) -> None:
    parts = [
        shard(tmp_path / str(i), Shard(i, 3), load_average=[i], sessions=[{"host": f"m{i}"}])
        for i in (1, 2, 3)
    ]

    run, cells = merge_runs(parts, tmp_path / "all", "teleport-bench merge")

    plan = make_plan(SPEC)
    assert cells == plan.cell_count
    assert make_units(plan, read(run.journal)) == []
    assert units_of(run.path) == set().union(*map(units_of, parts))
    environment = json.loads(run.environment.read_text())
    assert environment["torch"] == "2.13.0"
    assert [session["host"] for session in environment["sessions"]] == ["m1", "m2", "m3"]
    assert Spec.from_toml(run.spec.read_text()).digest() == SPEC.digest()


def test_mixed_environments_are_refused_and_named(tmp_path: Path) -> None:
    parts = [shard(tmp_path / "1", Shard(1, 2)), shard(tmp_path / "2", Shard(2, 2), torch="2.9.1")]

    with pytest.raises(JournalError, match=r"torch was '2.13.0', is '2.9.1': times of both must"):
        merge_runs(parts, tmp_path / "all", "")
    assert not (tmp_path / "all").exists()


def test_parts_that_measured_two_versions_of_a_model_are_refused(tmp_path: Path) -> None:
    parts = [
        shard(tmp_path / str(number), Shard(number, 2), model_code={"own.py": str(number)})
        for number in (1, 2)
    ]
    with pytest.raises(
        JournalError, match=r"measured one model; between .* own\.py was '1', is '2'"
    ):
        merge_runs(parts, tmp_path / "all", "")
    assert not (tmp_path / "all").exists()


def test_another_spec_is_refused(tmp_path: Path) -> None:
    other = SPEC.with_overrides(seed=7)
    parts = [shard(tmp_path / "1", Shard(1, 2)), shard(tmp_path / "2", Shard(2, 2), other)]

    with pytest.raises(
        JournalError, match=r"expected parts of one sweep; between .* seed was 0, is 7"
    ):
        merge_runs(parts, tmp_path / "all", "")


def test_a_cell_in_two_parts_is_refused(tmp_path: Path) -> None:
    parts = [shard(tmp_path / "1", Shard(1, 2)), shard(tmp_path / "2", Shard(1, 2))]

    with pytest.raises(JournalError, match="expected every cell in one part"):
        merge_runs(parts, tmp_path / "all", "")


def test_a_part_with_a_torn_line_is_refused(tmp_path: Path) -> None:
    part = shard(tmp_path / "1", Shard(1, 1))
    journal = part / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])

    with pytest.raises(JournalError, match=r"was cut short .*: do that before it is merged"):
        merge_runs([part], tmp_path / "all", "")


def test_a_place_that_holds_a_run_is_refused(tmp_path: Path) -> None:
    part = shard(tmp_path / "1", Shard(1, 1))

    with pytest.raises(RunError, match="holds a run: choose another directory"):
        merge_runs([part], part, "")


def test_nothing_to_merge(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="at least one run directory"):
        merge_runs([], tmp_path / "all", "")


@pytest.mark.parametrize("missing", ["spec", "environment", "journal"])
def test_a_part_that_lacks_a_file_is_refused(tmp_path: Path, missing: str) -> None:
    part = shard(tmp_path / "1", Shard(1, 1))
    getattr(RunDirectory(part), missing).unlink()

    with pytest.raises(JournalError, match=r"expected .*(spec.toml|environment.json|a journal at)"):
        merge_runs([part], tmp_path / "all", "")


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "1/3/5", "", "9" * 50])
def test_a_shard_that_is_none(text: str) -> None:
    with pytest.raises(SpecError, match=r"expected a shard I/N with 1 <= I <= N; .*1/4"):
        parse_shard(text)


def test_a_shard() -> None:
    assert parse_shard(" 2/3 ") == Shard(2, 3)
    assert replace(Shard(1, 3), index=2) == Shard(2, 3)
