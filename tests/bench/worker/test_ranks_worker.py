"""Calls that ranks share, in the worker: real ranks by their wire, times by a fake group."""

import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.measurements.ranks import Settings
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.variants import parse_variant
from bench.storage.kinds.ranks_records import RanksRecord
from bench.storage.records import made
from bench.worker.across import group, scaling
from bench.worker.across.group import Group, GroupError
from bench.worker.across.rank import share
from bench.worker.across.scaling import run_ranks
from teleport_core.nullspace.ranks import volume

SIZES = {"t": 2, "d": 32, "n": 8, "l": 3}

OWN = """
import torch
import torch.distributed as dist
from torch import nn

class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(20, 10)
    def forward(self, x):
        if dist.get_rank() == 1:
            raise RuntimeError("out of luck")
        return self.inner(x)

def own_loss(scores, targets):
    return nn.functional.cross_entropy(scores, targets)

def batches(n):
    return [(torch.randn(n, 20), torch.randint(0, 10, (n,)))]

def factory(n, d, seed):
    sizes = ((20, d), (d, d), (d, 10))
    first, *rest = [nn.Linear(*size, bias=False) for size in sizes]
    layers = [first, *(layer for one in rest for layer in (nn.Tanh(), one))]
    return nn.Sequential(*layers), nn.functional.cross_entropy, batches(n)

def broken(n, seed):
    return Broken(), own_loss, batches(n)
"""


def command_of(settings: Settings, variant: str = "nullspace", **changes: Any) -> dict[str, Any]:
    axes = tuple(parse_axis(f"{letter}={level}") for letter, level in SIZES.items())
    variants = (parse_variant(variant),)
    start = load_preset("smoke").with_overrides(
        axes=axes, variants=variants, device="cpu", **changes
    )
    spec = replace(start, sections={"ranks": settings})
    (found,) = [u.command for u in make_units(make_plan(spec), []) if u.command["do"] == "ranks"]
    return found


def nothing(_event: dict[str, Any]) -> None:
    pass


def recorded(
    command: dict[str, Any], start: Callable[..., Any], heard: Callable[..., None] = nothing
) -> list[RanksRecord]:
    events: list[dict[str, Any]] = []

    def emit(event: dict[str, Any]) -> None:
        events.append(event)
        heard(event)

    run_ranks(command, emit, start)
    return [
        made({"unit": command["unit"], **e["record"]}, RanksRecord)
        for e in events
        if e["event"] == "record"
    ]


@pytest.fixture
def started() -> list[Group]:
    return []


@pytest.fixture
def real(started: list[Group]) -> Callable[..., Group]:
    def start(ranks: int, facts: dict[str, Any]) -> Group:
        started.append(Group(ranks, facts))
        return started[-1]

    return start


def alive(groups: list[Group]) -> list[int]:
    return [pid for group in groups for pid in group.pids if Path(f"/proc/{pid}").exists()]


def floats_of_a_step(widths: tuple[int, ...], columns: int) -> float:
    """What a step of two ranks sends, by the closed forms; no biases, the first layer stays."""
    *lower, (features, out) = pairwise(widths)
    sent = 0
    for place, (inputs, outputs) in enumerate(lower):
        moves = place > 0
        way = volume.way(outputs, inputs, columns, moves=moves)
        sent += volume.floats(way, outputs, inputs, columns, moves=moves)
    last = volume.way_of_last(out, features, columns, moves=True, gathered=True)
    return (sent + volume.floats_of_last(last, out, features, columns, moves=True)) / 2


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_ranks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return f"{tmp_path}/own_ranks.py"


def test_two_ranks_receive_what_the_closed_forms_say_and_one_that_dies_ends_the_other(
    own: str,
) -> None:
    command = command_of(Settings(levels=(2,)), model=f"{own}:factory")
    facts = {name: command[name] for name in ("point", "seed", "bias", "data_dir")}
    asked = {"do": "time", "n": 8, "variant": "nullspace"}
    ranks = Group(2, {**facts, "threads": 1, "backend": "gloo"})
    try:
        found = {
            (way, t): ranks.ask({**asked, "way": way, "t": t})
            for way in ("replicated", "sharded")
            for t in (2, 3)
        }
        # Four rows of 20 numbers and their classes, once.
        assert {one["floats"] for t in (2, 3) for one in found["replicated", t]} == {4 * 20 + 4}
        twice, thrice = ([one["floats"] for one in found["sharded", t]] for t in (2, 3))
        expected = floats_of_a_step((20, 32, 32, 10), 8)
        assert [after - before for before, after in zip(twice, thrice, strict=True)] == [
            pytest.approx(expected, abs=1)
        ] * 2
        for one in (one for answers in found.values() for one in answers):
            assert 0 < one["steps_s"] + one["prepare_s"] < one["seconds"]

        os.kill(ranks.pids[1], signal.SIGKILL)
        with pytest.raises(GroupError, match="rank 1 of 2: it ended with signal SIGKILL") as told:
            ranks.ask({**asked, "way": "sharded", "t": 2})

        assert (told.value.status, told.value.refused, ranks.ended) == ("oom", False, True)
        assert alive([ranks]) == []
    finally:
        ranks.end()


def test_a_rank_that_hears_nothing_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = ["sh", "-c", """echo '{"v": 1}'; exec sleep 60"""]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    monkeypatch.setattr(group, "_started", lambda: subprocess.Popen(deaf, **pipes))
    monkeypatch.setattr(group, "_GRACE_SECONDS", 0.05)

    ranks = Group(2, {})
    assert len(alive([ranks])) == 2
    ranks.end()

    assert alive([ranks]) == []


@pytest.mark.long
def test_a_single_rank_computes_what_replicated_ones_do(
    monkeypatch: pytest.MonkeyPatch, real: Callable[..., Group], started: list[Group]
) -> None:
    monkeypatch.setattr(scaling, "ROUNDS", 1)

    alone, replicated, sharded = recorded(
        command_of(Settings(levels=(1, 2), scaling=("strong",))), real
    )

    assert (alone.way, alone.status, alone.refusal) == ("alone", "ok", "")
    assert (alone.wire_floats, alone.wire_bytes, alone.wire_floats_step) == (0, 0, 0)
    assert sharded.operations < alone.operations == replicated.operations
    assert [len(group.pids) for group in started] == [1, 2]
    assert alive(started) == []


@pytest.mark.long
def test_a_rank_that_fails_is_named_and_the_next_call_has_a_new_group(
    own: str, real: Callable[..., Group], started: list[Group]
) -> None:
    settings = Settings(levels=(2,), scaling=("strong",))

    raised, refused = recorded(command_of(settings, model=f"{own}:broken"), real)

    assert (raised.way, raised.status, raised.refusal) == ("replicated", "invalid", "")
    assert raised.reason.startswith("rank 1 of 2: expected inputs that the model accepts")
    assert raised.reason.endswith("it raised RuntimeError: out of luck")
    assert refused.status == "ok"
    assert refused.refusal.startswith("expected a call that can be sharded; nobody knows whether")
    assert [one.ended for one in started] == [True, True]
    assert alive(started) == []


class FakeGroup:
    """Rank r of a call answers 1 + r seconds per rank; ``fails`` is asked first."""

    asked: list[tuple[int, dict[str, Any]]]

    def __init__(self, ranks: int, facts: dict[str, Any]) -> None:
        self.ranks, self.facts, self.ended = ranks, facts, False

    def ask(self, command: dict[str, Any]) -> list[dict[str, Any]]:
        assert not self.ended
        self.asked.append((self.ranks, command))
        self.fails(command)
        if command["do"] == "place":
            return [{"samples": command["n"]}] * self.ranks
        if command["do"] == "count":
            return [{"operations": 10 * rank} for rank in range(self.ranks)]
        return [
            {
                "seconds": 1.0 + rank,
                "prepare_s": 0.25,
                "steps_s": 0.5 + rank,
                "floats": 100 + 7 * command["t"] + rank,
                "bytes": 1000 + 70 * command["t"],
            }
            for rank in range(self.ranks)
        ]

    def fails(self, command: dict[str, Any]) -> None:
        """Not at all."""

    def end(self) -> None:
        self.ended = True


@pytest.fixture
def fake() -> type[FakeGroup]:
    return type("Fake", (FakeGroup,), {"asked": []})


def test_a_call_takes_as_long_as_its_slowest_rank_and_levels_take_turns(
    fake: type[FakeGroup],
) -> None:
    command = command_of(Settings(levels=(1, 2, 3), ways=("sharded",)))

    found = recorded(command, fake)

    assert [(one.scaling, one.ranks, one.samples) for one in found] == [
        ("strong", 1, 8), ("strong", 2, 8), ("strong", 3, 8),
        ("weak", 1, 8), ("weak", 2, 16), ("weak", 3, 24),
    ]  # fmt: skip
    assert [{call.seconds for call in one.calls} for one in found[:3]] == [{1.0}, {2.0}, {3.0}]
    assert {call.steps_s for call in found[2].calls} == {2.5}
    assert [(one.wire_floats, one.wire_floats_step) for one in found[:3]] == [
        (114, 7), (115, 7), (116, 7)
    ]  # fmt: skip
    assert (found[1].wire_bytes, found[1].wire_bytes_step) == (1140, 70)
    assert [one.operations for one in found[:3]] == [0, 10, 20]
    timed = [(ranks, one["n"]) for ranks, one in fake.asked if one["do"] == "time"]
    rounds = [timed[at : at + 6] for at in range(12, len(timed), 6)]
    assert len(rounds) == scaling.ROUNDS
    assert len({tuple(one) for one in rounds}) > 1  # in an order drawn anew
    assert all(sorted(one) == sorted(rounds[0]) for one in rounds)


def test_no_round_is_begun_when_the_time_is_over_but_for_the_first_three(
    fake: type[FakeGroup], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "_SECONDS", 0.0)

    (one,) = recorded(command_of(Settings(levels=(1,), scaling=("strong",))), fake)

    assert len(one.calls) == 3


def test_more_threads_than_cores_are_flagged(
    fake: type[FakeGroup], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3})
    settings = Settings(levels=(2, 4), scaling=("strong",), ways=("replicated",))

    fits, crowded = recorded(command_of(settings, threads=2), fake)

    assert (fits.flags, fits.threads, fits.backend) == ([], 2, "gloo")
    assert crowded.flags == ["more threads than cores: 4 ranks of 2 threads on 4"]


def test_what_fails_or_is_refused_ends_no_other(fake: type[FakeGroup]) -> None:
    def fails(group: FakeGroup, command: dict[str, Any]) -> None:
        if command.get("way") == "sharded":
            group.ended = True
            raise GroupError("skipped", "it cannot be sharded", refused=True)
        timed = [ranks for ranks, one in group.asked if one["do"] == "time"]
        if group.ranks == 3 and timed.count(3) > 4:
            group.ended = True
            raise GroupError("crashed", "rank 1 of 3: out of luck")

    fake.fails = fails  # type: ignore[method-assign]
    settings = Settings(levels=(2, 3), scaling=("strong",))

    found = {(one.ranks, one.way): one for one in recorded(command_of(settings), fake)}

    assert len(found[2, "replicated"].calls) == scaling.ROUNDS
    assert found[2, "sharded"].refusal == found[3, "sharded"].refusal == "it cannot be sharded"
    assert {found[2, "sharded"].status, found[2, "replicated"].status} == {"ok"}
    broken = found[3, "replicated"]
    assert (broken.status, broken.reason) == ("crashed", "rank 1 of 3: out of luck")
    assert broken.calls == []
    assert broken.wire_floats is None


def test_of_a_resumed_unit_the_rest_is_measured_and_groups_end(fake: type[FakeGroup]) -> None:
    command = command_of(Settings(levels=(1, 2), scaling=("strong",)))
    first, second, third = (case["cell_id"] for case in command["cases"])

    found = recorded({**command, "done": [first, third]}, fake)

    assert [(one.cell_id, one.of) for one in found] == [(second, 3)]


def test_ranks_without_a_gpu_each_are_refused(
    fake: type[FakeGroup], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    settings = Settings(levels=(1, 2), scaling=("strong",), ways=("sharded",))
    command = command_of(settings)
    command["point"]["device"] = "cuda"

    one, two = recorded(command, fake)

    assert (one.refusal, one.backend) == ("", "nccl")
    assert two.refusal == "expected a GPU for every rank; got 1 for 2 ranks: measure fewer"


@pytest.mark.parametrize("ranks", [1, 3, 7])
def test_the_shares_of_all_ranks_are_the_batch(ranks: int) -> None:
    batch = {"x": torch.arange(7), "mask": None}, torch.arange(7) * 10

    shares = [share(batch, 7, rank, ranks) for rank in range(ranks)]

    assert torch.cat([inputs["x"] for inputs, _ in shares]).equal(batch[0]["x"])
    assert torch.cat([targets for _, targets in shares]).equal(batch[1])
    assert all(len(targets) >= 1 for _, targets in shares)
