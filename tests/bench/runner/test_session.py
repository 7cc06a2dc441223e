"""A session in a run directory, with a worker that measures nothing."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.errors import JournalError, RunError
from bench.plan.points import Plan
from bench.plan.profiles import Detail
from bench.plan.shards import parse_shard
from bench.process.local import WorkerProcess
from bench.runner.progress import QuietProgress
from bench.runner.runner import Runner
from bench.runner.session import Listener, carry_out, carry_out_profiles
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.spec.variants import parse_variant
from bench.storage.journal import read
from bench.storage.records import cells_of

STAND_IN = Path(__file__).parents[2] / "soak" / "stand_in"


def spec() -> Spec:
    """Two points of two cells."""
    preset = load_preset("smoke")
    return preset.with_overrides(
        device="auto",
        axes=(parse_axis("d=16,32"), parse_axis("t=1")),
        variants=(parse_variant("identity"),),
        preservation=replace(preset.preservation, enabled=False),
    )


class Watched(WorkerProcess):
    """Whether it was asked to end, or killed."""

    ends: list[str]

    def stop(self) -> None:
        self.ends.append("stop")
        super().stop()

    def kill(self) -> None:
        self.ends.append("kill")
        super().kill()


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Runner:
    monkeypatch.setenv("WITNESS", str(tmp_path / "witness"))
    monkeypatch.setenv("FAULTS", "0")
    Watched.ends = []
    return Runner(QuietProgress(), partial(Watched, STAND_IN))


def cells(path: Path) -> list[tuple[int, str]]:
    return [(r.d, r.variant) for r in cells_of(read(path / "journal.jsonl"))]


WHOLE_SWEEP = [(d, variant) for d in (16, 32) for variant in ("identity", "sgd")]


def test_the_plan_is_told_with_its_device_and_the_worker_asked_to_end(
    runner: Runner, tmp_path: Path
) -> None:
    told: list[Plan] = []

    summary = carry_out(
        spec(), tmp_path / "run", runner, command="again", listener=Listener(told.append)
    )

    assert [plan.spec.device for plan in told] == ["cpu"]
    assert sorted(cells(tmp_path / "run")) == WHOLE_SWEEP
    assert summary.complete
    assert 'command = "again"' in (tmp_path / "run" / "spec.toml").read_text()
    assert Watched.ends[0] == "stop"


def test_a_part_is_measured_and_resuming_without_it_the_rest(
    runner: Runner, tmp_path: Path
) -> None:
    carry_out(spec(), tmp_path, runner, command="", part=parse_shard("1/2"))
    part = cells(tmp_path)
    assert len(part) == 2

    carry_out(spec(), tmp_path, runner, command="", resume=True)

    assert cells(tmp_path)[:2] == part
    assert sorted(cells(tmp_path)) == WHOLE_SWEEP


def test_a_run_is_not_resumed_on_another_machine(runner: Runner, tmp_path: Path) -> None:
    carry_out(spec(), tmp_path, runner, command="", part=parse_shard("1/2"))
    place = tmp_path / "environment.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "torch": "0.1"}))
    before = (tmp_path / "journal.jsonl").read_bytes()

    with pytest.raises(JournalError, match=r"begun on; .*torch was '?0\.1"):
        carry_out(spec(), tmp_path, runner, command="", resume=True)

    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_what_was_cut_short_is_told_and_what_failed_before_counted(
    runner: Runner, tmp_path: Path
) -> None:
    carry_out(spec(), tmp_path, runner, command="")
    path = tmp_path / "journal.jsonl"
    failed = path.read_text().replace('"status":"ok"', '"status":"oom"', 1)
    path.write_text(failed[:-30])
    said: list[str] = []

    summary = carry_out(
        spec(), tmp_path, runner, command="", resume=True, listener=Listener(say=said.append)
    )

    assert len(said) == 1
    assert "line 4 was cut short" in said[0]
    assert summary.failed_before == 1
    assert not summary.complete


def test_a_refused_run_leaves_no_worker(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text("")

    with pytest.raises(RunError, match="holds a run: add --resume"):
        carry_out(spec(), tmp_path, runner, command="")
    assert Watched.ends[0] == "kill"


def test_profiles_are_refused_before_a_worker_is_started(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text("")

    with pytest.raises(RunError, match="holds a run: choose another directory"):
        carry_out_profiles(spec(), tmp_path, runner, Detail(), command="")
    assert Watched.ends == []


def test_an_interrupt_kills_the_worker_at_once(runner: Runner, tmp_path: Path) -> None:
    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out(
            spec(), tmp_path / "run", runner, command="", listener=Listener(planned=interrupted)
        )

    assert Watched.ends[0] == "kill"
    assert not (tmp_path / "run").exists()
