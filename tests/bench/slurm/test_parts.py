"""Parts of a sweep: the same as those of --shard, what each lacks, and what is tried again."""

from dataclasses import replace
from pathlib import Path

import pytest
from submissions import measure, widths

from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.plan.shards import Shard, share
from bench.slurm.ledger import Place
from bench.slurm.parts import Parts, forget_failures, part_count
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.storage.journal import lines, read

SMOKE = load_preset("smoke").with_overrides(device="cpu")
TRAINING = load_preset("train-quick").with_overrides(device="cpu")


@pytest.mark.parametrize("spec", [SMOKE, TRAINING], ids=["sweep", "training"])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_parts_are_those_of_shards(spec: Spec, count: int) -> None:
    parts = Parts(spec, count)

    for part in (Shard(index, count) for index in parts.numbers):
        expected = make_units(share(make_plan(spec), part), [], part)
        assert parts.lacking(part.index, []) == expected


def test_each_block_and_each_group_has_a_part_of_its_own() -> None:
    assert part_count(widths(8, 16, 32), 1000) == 3
    assert part_count(widths(8, 16, 32), 2) == 2
    many = replace(SMOKE, preservation=replace(SMOKE.preservation, starts=("init", "trained")))
    assert part_count(many, 1000) == len(make_units(make_plan(many), [])) - len(
        make_plan(many).blocks
    )
    count = part_count(TRAINING, 1000)
    assert count >= 2
    assert all(Parts(TRAINING, count).lacking(part, []) for part in range(1, count + 1))


def test_what_may_be_mended_is_taken_out_and_kept_beside(tmp_path: Path) -> None:
    spec, place = widths(8, 16), Place(tmp_path)
    measure(place, spec, Shard(1, 1), "crashed")
    run = place.part(1)
    whole = run.journal.read_text().splitlines(keepends=True)
    fine = whole[0].replace("crashed", "ok")
    run.journal.write_text(fine + "".join(whole[1:]) + '{"schema": 1, "ki')

    forget_failures(run)

    assert run.journal.read_text() == fine
    assert (run.path / "failed.jsonl").read_text() == "".join(whole[1:])
    found = Parts(spec, 1).look(1, place)
    assert (found.units, found.lacking, dict(found.statuses)) == (2, 2, {"ok": 1})

    run.journal.write_text("".join(whole[:1]))
    forget_failures(run)
    assert len(lines(run.path / "failed.jsonl")[0]) == 4
    assert read(run.journal) == []


def test_what_is_fine_or_was_never_begun_is_left_alone(tmp_path: Path) -> None:
    spec, place = widths(8), Place(tmp_path)
    forget_failures(place.part(1))
    measure(place, spec, Shard(1, 1), "invalid")
    before = place.part(1).journal.read_bytes()

    forget_failures(place.part(1))

    assert place.part(1).journal.read_bytes() == before
    assert not (place.part(1).path / "failed.jsonl").exists()
