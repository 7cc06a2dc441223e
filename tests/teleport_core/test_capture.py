"""The steps as one recording, decided on the device: the same as step by step, to the last bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from oracles import identical, snapshot
from recording import HostWaitedError, record
from small_problems import classification, regression
from torch import nn

from teleport_core import Problem, Status, TeleportResult, make, teleport
from teleport_core.nullspace import teleporter as teleporter_module
from teleport_core.nullspace.capture import Eager, Recorded, Recordings
from teleport_core.nullspace.decision import HostDecision
from teleport_core.nullspace.half_hvp import HalfHvpState
from teleport_core.nullspace.teleporter import NullSpaceTeleporter


def tanh_net(bias: bool = True) -> Problem:
    return classification([9, 8, 8, 7, 4], 5, nn.Tanh, bias=bias)


def saturated() -> Problem:
    """A hidden layer whose activations stay where they are, whatever moves."""
    problem = classification([9, 8, 4], 5, nn.Hardtanh)
    with torch.no_grad():
        problem.model[0].weight.zero_()
        problem.model[0].bias.fill_(100.0)
    return problem


def recorded(calls: list[int] | None = None, **options: Any) -> NullSpaceTeleporter:
    """A teleporter that records on any device."""

    def counting(body: Callable[[], None]) -> Callable[[], None]:
        if calls is not None:
            calls.append(1)
        return record(body)

    made = NullSpaceTeleporter(engine="half_hvp", **options)
    object.__setattr__(made, "_recordings", Recordings(record=counting))
    return made


def run(problem: Problem, made: NullSpaceTeleporter) -> TeleportResult:
    return made.advance(problem, made.prepare(problem))


ENDINGS: dict[str, tuple[Callable[[], Problem], dict[str, Any], Status]] = {
    "done": (tanh_net, {"lr": 0.5}, Status.DONE),
    "no biases": (lambda: tanh_net(bias=False), {"lr": 0.5}, Status.DONE),
    "float32": (
        lambda: classification([9, 8, 7, 4], 5, nn.Tanh, dtype=torch.float32),
        {"lr": 0.5},
        Status.DONE,
    ),
    "projected product": (
        lambda: classification([9, 300, 11], 256, nn.Tanh),
        {"lr": 0.5},
        Status.DONE,
    ),
    "by oneDNN": (
        lambda: classification([6, 600, 600], 40, nn.ReLU, dtype=torch.float32),
        {},
        Status.DONE,
    ),
    "capped at once": (tanh_net, {"cap": 1e-9}, Status.CAPPED),
    "capped later": (tanh_net, {"lr": 3.0, "cap": 1.5}, Status.CAPPED),
    "diverges": (
        lambda: regression([6, 9, 9, 2], 4, nn.Softplus),
        {"lr": 50.0, "steps": 50},
        Status.NON_FINITE,
    ),
    "diverges at once": (
        lambda: regression([6, 9, 9, 2], 4, nn.Softplus),
        {"lr": 1e200, "steps": 50},
        Status.NON_FINITE,
    ),
    "constant activations": (
        saturated,
        {},
        Status.NO_ASCENT_DIRECTION,
    ),
}


@pytest.mark.parametrize("ending", list(ENDINGS))
def test_a_recording_ends_as_single_operations_do(ending: str) -> None:
    build, options, status = ENDINGS[ending]
    stepwise, whole = build(), build()

    expected = run(stepwise, make("nullspace", engine="half_hvp", **options))
    result = run(whole, recorded(**options))

    assert expected.status is result.status is status
    assert result.steps_done == expected.steps_done
    assert result.grad_norm_sq == pytest.approx(expected.grad_norm_sq, rel=0, nan_ok=True)
    assert identical(whole, snapshot(stepwise))


def test_capped_later_is_neither_the_first_step_nor_the_last() -> None:
    build, options, _ = ENDINGS["capped later"]
    assert 0 < run(build(), recorded(**options)).steps_done < 8


def test_batches_of_one_shape_share_a_recording() -> None:
    calls: list[int] = []
    made, plain = recorded(calls, lr=0.05), make("nullspace", engine="half_hvp", lr=0.05)
    shared, fresh = tanh_net(), tanh_net()
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        inputs = torch.randn(5, 9, dtype=torch.float64, generator=generator)
        problems = [Problem(p.model, p.loss_fn, inputs, p.targets) for p in (shared, fresh)]
        run(problems[0], made)
        run(problems[1], plain)

        assert identical(shared, snapshot(fresh))
    assert len(calls) == 1


def test_a_state_that_is_still_alive_keeps_its_recording() -> None:
    calls: list[int] = []
    made = recorded(calls, lr=0.5)
    problem, twin = tanh_net(), tanh_net()
    other = Problem(problem.model, problem.loss_fn, problem.inputs * 2, problem.targets)

    first = made.prepare(problem)
    second = made.prepare(other)
    made.advance(problem, first)
    run(twin, make("nullspace", engine="half_hvp", lr=0.5))

    assert isinstance(first, HalfHvpState)
    assert isinstance(second, HalfHvpState)
    assert first.loop is not second.loop
    assert len(calls) == 2
    assert identical(problem, snapshot(twin))


@pytest.mark.parametrize("change", ["weights", "batch size", "dtype of the model"])
def test_another_shape_or_other_weights_need_another_recording(change: str) -> None:
    calls: list[int] = []
    made, problem = recorded(calls), tanh_net()
    run(problem, made)
    if change == "weights":
        problem = tanh_net()
    elif change == "batch size":
        problem = Problem(problem.model, problem.loss_fn, problem.inputs[:4], problem.targets[:4])
    else:
        inputs = problem.inputs.float()
        problem = Problem(problem.model.float(), problem.loss_fn, inputs, problem.targets)

    run(problem, made)

    assert len(calls) == 2


def test_no_more_recordings_are_kept_than_a_few() -> None:
    made = recorded()
    for n in range(2, 8):
        run(classification([9, 8, 8, 4], n, nn.Tanh), made)

    assert len(made._recordings._kept) == 4


def test_recording_leaves_the_weights_alone() -> None:
    problem = tanh_net()
    before = snapshot(problem)

    state = recorded(lr=0.5).prepare(problem)

    assert isinstance(state, HalfHvpState)
    assert isinstance(state.loop, Recorded)
    assert identical(problem, before)


def test_the_host_deciding_cannot_be_recorded() -> None:
    """The control: reading a norm while recording is noticed."""
    state = make("nullspace", engine="half_hvp").prepare(tanh_net())
    assert isinstance(state, HalfHvpState)
    assert isinstance(state.loop, Eager)
    decision = HostDecision(cap=1.0)
    decision.begin(8)

    with pytest.raises(HostWaitedError):
        record(lambda: state.loop._schedule.run(decision))


@pytest.mark.filterwarnings("ignore::teleport_core.TeleportWarning")  # so far, rounding shows
def test_a_loss_that_only_overflows_at_the_end_is_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last step is checked off the clock, and replayed with one step less."""
    reference = regression([6, 9, 9, 2], 4, nn.Softplus)
    finite = run(reference, make("nullspace", engine="half_hvp", lr=50.0, steps=50)).steps_done
    ends = []
    for recordings in (Recordings(), Recordings(record=record)):
        monkeypatch.setattr(teleporter_module, "Recordings", lambda r=recordings: r)
        problem = regression([6, 9, 9, 2], 4, nn.Softplus)
        batch = (problem.inputs, problem.targets)
        result = teleport(problem.model, problem.loss_fn, batch, lr=50.0, steps=finite + 1)
        ends.append((result.status, result.steps_done, snapshot(problem)))
    assert ends[0][:2] == ends[1][:2] == (Status.NON_FINITE, finite)
    assert identical(reference, ends[0][2])
    assert identical(reference, ends[1][2])
