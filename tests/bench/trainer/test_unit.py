"""All trials of one optimizer and seed."""

from pathlib import Path
from typing import Any

import pytest
from training_units import carried_out, commands, judged, spec_of

from bench.measurements.training import TRAINING
from bench.plan.points import make_plan
from bench.storage.records import TrialRecord, made


def all_of(tmp_path: Path, **changes: Any) -> list[dict[str, Any]]:
    """The records of the unit that is judged; what it needs is carried out first."""
    tuning, last = commands(spec_of(**changes), tmp_path)
    given = carried_out(tuning)
    return carried_out({**last, "given": given})


def test_plain_again_is_the_same_in_every_value_that_is_no_time(tmp_path: Path) -> None:
    records = all_of(tmp_path)

    assert judged(records, "aa") == judged(records, "plain")
    assert len(judged(records, "plain")) == 1 + 3 * 2
    assert judged(records, "nullspace:growth=4") != judged(records, "plain")


def test_evaluations_are_at_the_same_steps_for_all(tmp_path: Path) -> None:
    records = all_of(tmp_path)

    for arm in ("plain", "nullspace:growth=4", "aa"):
        assert [r["step"] for r in judged(records, arm)] == [0, 2, 5, 7, 10, 12, 15]
        assert [r["epoch"] for r in judged(records, arm)] == [0, 0.4, 1, 1.4, 2, 2.4, 3]


def test_a_teleport_is_counted_in_passes_and_recorded(tmp_path: Path) -> None:
    records = all_of(tmp_path)

    ends = judged(records, "nullspace:growth=4")[-1]
    moves = judged(records, "nullspace:growth=4", "teleport")
    assert [(move["epoch"], move["batch"]) for move in moves] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert ends["gradient_equivalents"] == pytest.approx(
        15 + sum(move["gradient_equivalents"] for move in moves)
    )
    for move in moves:
        assert move["teleport_status"] == "DONE"
        assert move["loss_after"] == pytest.approx(move["loss_before"], rel=1e-4)
        assert move["objective_after"] == pytest.approx(4 * move["objective_before"], rel=0.05)
        assert move["displacement"] > 0
    assert [move["horizon"] for move in moves if "horizon" in move] == [3, 3]
    assert moves[1]["ahead_with"] != moves[1]["ahead_without"]


def test_all_arms_teleport_on_the_same_batches(tmp_path: Path) -> None:
    arms = ("nullspace:growth=2", "nullspace:growth=4")
    records = all_of(tmp_path, arms=arms, schedule="0:1")

    first, second = (judged(records, arm, "teleport")[0] for arm in arms)
    assert first["loss_before"] == second["loss_before"]
    assert first["objective_before"] == second["objective_before"]
    assert first["objective_after"] != second["objective_after"]


def test_the_clock_has_the_teleports_on_it(tmp_path: Path) -> None:
    records = all_of(tmp_path)

    arm = [r for r in records if r["kind"] == "training" and r["arm"].startswith("nullspace")]
    assert arm[0]["train_seconds"] == arm[0]["teleport_seconds"] == 0
    assert 0 < arm[1]["teleport_seconds"] < arm[1]["train_seconds"]
    assert [r["train_seconds"] for r in arm] == sorted(r["train_seconds"] for r in arm)
    plain = [r for r in records if r["kind"] == "training" and r["arm"] == "plain"]
    assert {r["teleport_seconds"] for r in plain} == {0}


def test_rates_come_from_the_tuning_trials(tmp_path: Path) -> None:
    spec = spec_of(lr=0, tune=3)
    tuning, last = commands(spec, tmp_path)
    given = carried_out(tuning)
    ends = [record for record in given if record["kind"] == "trial"]
    best = {
        arm: min((r for r in ends if r["arm"] == arm), key=lambda r: r["train_loss"])["lr"]
        for arm in ("plain", "nullspace:growth=4")
    }

    records = carried_out({**last, "given": given})

    found = {r["arm"]: r["lr"] for r in records if r["kind"] == "trial"}
    assert found == {**best, "aa": best["plain"]}


def test_the_last_record_of_a_unit_says_how_many_there_are(tmp_path: Path) -> None:
    records = all_of(tmp_path)

    ids = [record["cell_id"] for record in records]
    assert len(set(ids)) == len(ids) == records[-1]["of"]
    assert min(record["of"] for record in records[:-1]) >= records[-1]["of"]


@pytest.mark.parametrize("telling", [0.0, 1e9])
def test_records_come_as_soon_as_the_load_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, telling: float
) -> None:
    """After each trial's epoch where that is long; else after the epoch of the last."""
    monkeypatch.setattr("bench.trainer.unit._TELLING", telling)
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        said.append("note" if message["event"] == "note" else message["record"]["kind"])

    carried_out(commands(spec_of(arms=("aa",), schedule="2:3"), tmp_path)[-1], hear)

    first, second = [place for place, kind in enumerate(said) if kind == "note"][:2]
    assert (said[first + 1] == "training") == (telling == 0.0)
    assert (second == first + 1) == (telling > 0.0)


def test_a_trial_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    """An option that the method does not know, and a learning rate at which all is lost."""
    arms = ("nullspace:nonsense=1", "nullspace:growth=4")
    records = all_of(tmp_path, arms=arms)

    ends = {r["arm"]: r for r in records if r["kind"] == "trial"}
    assert ends["nullspace:nonsense=1"]["outcome"] == "failed"
    assert "nonsense" in ends["nullspace:nonsense=1"]["reason"]
    assert not judged(records, "nullspace:nonsense=1")  # it never began
    assert ends["nullspace:growth=4"]["outcome"] == ends["plain"]["outcome"] == "finished"
    for end in ends.values():
        made(end | {"of": 1}, TrialRecord)


def test_a_rate_at_which_the_loss_is_lost_is_a_trial_that_diverged(tmp_path: Path) -> None:
    records = all_of(tmp_path, optimizers=("sgd",), lr=1e12)

    ends = {r["arm"]: r["outcome"] for r in records if r["kind"] == "trial"}
    assert set(ends.values()) == {"diverged"}
    curve = judged(records, "plain")
    assert curve[-1]["train_loss"] is None
    assert len(curve) < 7


def test_where_nothing_could_be_tuned_the_trials_say_so(tmp_path: Path) -> None:
    _, last = commands(spec_of(lr=0, tune=2), tmp_path)

    records = carried_out(last)

    assert {record["outcome"] for record in records} == {"failed"}
    assert records[-1]["of"] == len(records)  # it is over, and is not tried again
    assert all("has no learning rate: expected" in record["reason"] for record in records)


def test_the_optimizer_that_trains_is_climbed_for(tmp_path: Path) -> None:
    """Adam's own decrease grows as asked; the gradient norm does not."""
    arm = "nullspace:growth=2,objective=optimizer"
    records = all_of(tmp_path, arms=(arm,), schedule="1:2")

    for move in judged(records, arm, "teleport"):
        ratio = move["objective_after"] / move["objective_before"]
        assert ratio == pytest.approx(2, rel=0.06)


def test_a_schedule_of_steps_is_kept(tmp_path: Path) -> None:
    records = all_of(tmp_path, schedule="0:12:4steps")

    moves = judged(records, "nullspace:growth=4", "teleport")
    assert sorted({move["step"] for move in moves}) == [0, 4, 8]


def test_a_spec_without_the_section_trains_nothing() -> None:
    spec = spec_of()
    plan = make_plan(spec)

    assert TRAINING.units(plan)
    bare = spec.with_overrides(variants=(), sections={"other": None})
    assert TRAINING.units(make_plan(bare)) == []
