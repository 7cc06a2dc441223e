"""The measuring loop on a clock that only moves when told to."""

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from small_problems import classification
from torch import Tensor, nn

from bench.spec.sampling import Sampling
from bench.timing.rounds import (
    Entrant,
    Rounds,
    quiet_collector,
    settled,
    sgd_call,
    teleport_call,
)
from bench.timing.start import copy_of, restore
from teleport_core import Guarantee, Problem, Status, TeleportResult


@dataclass
class FakeClock:
    time: float = 0.0
    name: str = "wall"
    marks: int = 0

    def mark(self) -> float:
        self.marks += 1
        return self.time

    def seconds(self, start: float, end: float) -> float:
        return end - start


@dataclass
class FakeTeleporter:
    """Takes 3 s to prepare and 5 s to advance; the second batch twice that."""

    clock: FakeClock
    calls: list[str] = field(default_factory=list)

    def prepare(self, problem: Any) -> int:
        self.calls.append(f"prepare {problem}")
        self.clock.time += 3.0 * problem
        return problem

    def advance(self, problem: Any, state: int) -> TeleportResult:
        self.calls.append(f"advance {problem}")
        self.clock.time += 5.0 * state
        norms = [10.0 * problem, 11.0 * problem]
        return TeleportResult(Status.DONE, 4, [], norms, {"w": [3]}, Guarantee.EXACT_ON_BATCH)


def test_phases_are_summed_over_the_batches() -> None:
    clock = FakeClock(time=100.0)
    teleporter = FakeTeleporter(clock)

    samples, steps_done, facts = teleport_call(teleporter, [1, 2], [clock])  # type: ignore[arg-type]

    expected = {"clock": "wall", "seconds": 24.0, "prepare_s": 9.0, "steps_s": 15.0}
    assert samples == [expected]
    assert steps_done == 8
    assert (facts["null_dims"], facts["grad_norm_sq"]) == ({"w": [3]}, 10.0)
    assert teleporter.calls == ["prepare 1", "advance 1", "prepare 2", "advance 2"]


def test_every_clock_gives_a_sample_of_its_own() -> None:
    wall, events = FakeClock(), FakeClock(name="cuda_event")

    samples, _, _ = teleport_call(FakeTeleporter(wall), [1], [events, wall])  # type: ignore[arg-type]

    assert [(s["clock"], s["seconds"]) for s in samples] == [("cuda_event", 0.0), ("wall", 8.0)]


def test_sgd_takes_its_steps_on_every_batch_and_moves_the_weights_in_place() -> None:
    problem = classification([6, 5, 3], 4)
    before = [p.detach().clone() for p in problem.model.parameters()]
    objects = list(problem.model.parameters())
    clock = FakeClock()

    samples, steps_done, _ = sgd_call([problem, problem], 3, [clock])

    assert steps_done == 6
    assert samples[0]["prepare_s"] == 0.0
    moved = [float((p - q).detach().norm()) for p, q in zip(objects, before, strict=True)]
    assert all(0 < m < 1e-4 for m in moved)
    assert all(a is b for a, b in zip(objects, problem.model.parameters(), strict=True))


def entrants(count: int = 3) -> list[Entrant]:
    return [Entrant(str(i), 1, lambda: ([], 1, {})) for i in range(count)]


def sampling(**values: Any) -> Sampling:
    defaults = {"warmup": 1, "min_samples": 2, "max_samples": 5, "block_seconds": 10.0}
    return Sampling(**{**defaults, **values})


def timed(rounds: Rounds, clock: FakeClock, seconds: Callable[[int], float]) -> list[int]:
    """Go through the rounds, each entrant's sample taking ``seconds(round)``; the numbers seen."""
    seen = []
    for number, entrant in rounds:
        spent = seconds(number)
        clock.time += spent
        entrant.take(number, [{"clock": "wall", "seconds": spent}])
        seen.append(number)
    return seen


def test_every_round_has_every_entrant_once_and_warm_up_is_negative() -> None:
    seen: dict[int, list[str]] = {}
    for number, entrant in Rounds(entrants(), sampling(max_warmup=2), 1, lambda: 0.0):
        seen.setdefault(number, []).append(entrant.cell_id)

    assert list(seen) == [-1, -2, 0, 1, 2, 3, 4]
    assert all(sorted(names) == ["0", "1", "2"] for names in seen.values())
    assert len({tuple(names) for names in seen.values()}) > 1


def test_the_order_is_a_function_of_the_seed() -> None:
    def order(seed: int) -> list[str]:
        return [e.cell_id for _, e in Rounds(entrants(6), sampling(), seed, lambda: 0.0)]

    assert order(1) == order(1)
    assert order(1) != order(2)


@pytest.mark.parametrize(("block_seconds", "kept"), [(0.5, 2), (2.5, 3), (100.0, 5)])
def test_sampling_stops_when_the_time_is_spent_but_never_below_the_minimum(
    block_seconds: float, kept: int
) -> None:
    clock = FakeClock()
    rounds = Rounds(entrants(1), sampling(block_seconds=block_seconds), 1, clock.mark)

    seen = timed(rounds, clock, lambda _: 1.0)

    assert [number for number in seen if number >= 0] == list(range(kept))
    assert rounds.stopping.reason == ("time spent" if kept < 5 else "samples spent")


def test_warm_up_does_not_spend_the_time_of_the_block() -> None:
    clock = FakeClock()
    rounds = Rounds(entrants(1), sampling(block_seconds=2.5), 1, clock.mark)

    seen = timed(rounds, clock, lambda number: 1000.0 if number < 0 else 1.0 + number % 2)

    assert seen == [-1, 0, 1]
    assert rounds.warmup == (1, "time")


def test_warm_up_lasts_until_nobody_gets_faster() -> None:
    """One of two cells needs nine rounds to warm up."""
    clock = FakeClock()
    field = entrants(2)
    rounds = Rounds(field, sampling(block_seconds=1e4), 1, clock.mark)
    for number, entrant in rounds:
        slow = entrant.cell_id == "1" and number < 0
        entrant.take(
            number, [{"clock": "wall", "seconds": max(10.0 + number, 1.0) if slow else 1.0}]
        )

    assert rounds.warmup == (12, "steady")  # from round 9 on it is as fast as it gets
    assert max(field[1].seconds) == 1.0


def test_an_entrant_taken_out_is_not_measured_again() -> None:
    field = entrants(2)
    seen = []
    for number, entrant in Rounds(field, sampling(max_warmup=1), 1, lambda: 0.0):
        seen.append((number, entrant.cell_id))
        if entrant.cell_id == "0" and number == 1:
            field.remove(entrant)

    assert [number for number, name in seen if name == "0"] == [-1, 0, 1]
    assert [number for number, name in seen if name == "1"] == [-1, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("last", [-1, 0])
def test_rounds_end_when_nobody_is_left(last: int) -> None:
    field = entrants(1)
    seen = []
    for number, entrant in Rounds(field, sampling(max_warmup=1), 1, lambda: 0.0):
        seen.append(number)
        if number == last:
            field.remove(entrant)

    assert seen == [-1, 0][: last + 2]


class Exported(torch.nn.BatchNorm1d):
    """Hands out copies as its state and leaves some out; has a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__(3)
        self.register_buffer("passing", torch.zeros(3), persistent=False)
        self.register_state_dict_post_hook(self.offload)

    @staticmethod
    def offload(module: Any, values: Any, *_: Any) -> None:
        del module
        for name in list(values)[1:]:
            values[name] = values[name].clone()
        del values[next(iter(values))]

    def get_extra_state(self) -> dict[str, int]:
        return {"scale": 2}

    def set_extra_state(self, state: Any) -> None:
        del state

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passing += 1
        return super().forward(x)


def test_restore_puts_parameters_and_buffers_back_into_the_same_objects() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), Exported())
    start = copy_of(model)
    assert set(start) == {*dict(model.named_parameters()), *dict(model.named_buffers())}
    objects = list(model.parameters())
    model(torch.randn(4, 3)).sum().backward()
    with torch.no_grad():
        model[0].weight.add_(1.0)

    restore(model, start)

    assert model[1].passing.tolist() == [0, 0, 0]
    assert all(torch.equal(value, start[name]) for name, value in copy_of(model).items())
    assert all(a is b for a, b in zip(objects, model.parameters(), strict=True))


def test_garbage_is_collected_outside_the_clock_only() -> None:
    import gc

    gc.enable()
    with quiet_collector():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_lives_is_out_of_the_collectors_sight_while_a_block_is_measured() -> None:
    import gc

    def fail() -> None:
        with settled():
            assert gc.get_freeze_count() > 0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert gc.get_freeze_count() == 0


def test_an_sgd_step_hands_inputs_over_as_a_teleport_does() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x: Tensor, scale: Tensor) -> Tensor:
            return self.linear(x) * scale

    inputs = UserDict(x=torch.randn(5, 4), scale=torch.ones(()))
    problem = Problem(Named(), nn.functional.cross_entropy, inputs, torch.zeros(5).long())

    assert sgd_call([problem], 1, [])[1] == 1
