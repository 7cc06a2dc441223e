"""The steps as one recording, decided on the device: the same as step by step, to the last bit."""

import gc
from collections.abc import Callable
from typing import Any
from weakref import ref

import pytest
import torch
from deceiving_models import overflowing
from oracles import identical, snapshot
from recording import HostWaitedError, record
from small_problems import classification, regression
from torch import nn

from teleport_core import Problem, Status, TeleportResult, teleport
from teleport_core.nullspace.half_hvp import engine as half_hvp
from teleport_core.nullspace.half_hvp.cap_rule import HostDecision, Outcome
from teleport_core.nullspace.half_hvp.cuda_graph import Eager, Recorded, Recordings, recordings_of
from teleport_core.nullspace.half_hvp.engine import HalfHvpState
from teleport_core.nullspace.half_hvp.schedule import Schedule
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


def recorder_of(record: Callable[..., Any]) -> Callable[[nn.Module], Recordings]:
    """As ``recordings_of``, on any device."""
    of_models: dict[nn.Module, Recordings] = {}
    return lambda model: of_models.setdefault(model, Recordings(record=record))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps are recorded from here on; one entry for each recording."""
    found: list[int] = []

    def counting(rehearse: Callable[[], None], body: Callable[[], None]) -> Callable[[], None]:
        found.append(1)
        return record(rehearse, body)

    monkeypatch.setattr(half_hvp, "recordings_of", recorder_of(counting))
    return found


def made(**options: Any) -> NullSpaceTeleporter:
    return NullSpaceTeleporter(engine="half_hvp", **options)


def run(problem: Problem, teleporter: NullSpaceTeleporter) -> TeleportResult:
    return teleporter.advance(problem, teleporter.prepare(problem))


class Stepwise(Recordings):
    """The operations that would be recorded, one after the other."""

    def records(self, device: torch.device) -> bool:
        return True

    def loop_for(self, schedule: Schedule, cap: float, user: object) -> Eager:
        return Eager(schedule, cap)


def step_by_step(problem: Problem, **options: Any) -> TeleportResult:
    """Without a recording, whatever a test has set."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(half_hvp, "recordings_of", lambda _: Stepwise())
        return run(problem, made(**options))


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


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("ending", list(ENDINGS))
def test_a_recording_ends_as_single_operations_do(ending: str) -> None:
    build, options, status = ENDINGS[ending]
    stepwise, whole = build(), build()

    expected = step_by_step(stepwise, **options)
    result = run(whole, made(**options))

    assert expected.status is result.status is status
    assert result.steps_done == expected.steps_done
    assert result.grad_norm_sq == pytest.approx(expected.grad_norm_sq, rel=0, nan_ok=True)
    assert identical(whole, snapshot(stepwise))


def test_capped_later_is_neither_the_first_step_nor_the_last() -> None:
    build, options, _ = ENDINGS["capped later"]
    assert 0 < run(build(), made(**options)).steps_done < 8


@pytest.mark.usefixtures("calls")
@pytest.mark.parametrize("share", [0.999, 1.0, 1.001])
def test_both_stop_at_the_same_step_however_near_the_cap_is(share: float) -> None:
    """A cap at, just below and just above ||g||^2 before the fourth step."""
    cap = share * step_by_step(tanh_net(), lr=0.5).grad_norm_sq[3]
    stepwise, whole = tanh_net(), tanh_net()

    expected = step_by_step(stepwise, lr=0.5, cap=cap)
    result = run(whole, made(lr=0.5, cap=cap))

    assert expected.steps_done == result.steps_done == (3 if share <= 1 else 4)
    assert identical(whole, snapshot(stepwise))


def test_batches_of_one_shape_share_a_recording(calls: list[int]) -> None:
    """By whatever teleporter: a user's calls make one each."""
    shared, fresh = tanh_net(), tanh_net()
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        inputs = torch.randn(5, 9, dtype=torch.float64, generator=generator)
        problems = [Problem(p.model, p.loss_fn, inputs, p.targets) for p in (shared, fresh)]
        run(problems[0], made(lr=0.05))
        step_by_step(problems[1], lr=0.05)

        assert identical(shared, snapshot(fresh))
    assert len(calls) == 1


def test_a_state_that_is_still_alive_keeps_its_recording(calls: list[int]) -> None:
    problem, twin = tanh_net(), tanh_net()
    other = Problem(problem.model, problem.loss_fn, problem.inputs * 2, problem.targets)

    first = made(lr=0.5).prepare(problem)
    second = made(lr=0.5).prepare(other)
    made(lr=0.5).advance(problem, first)
    step_by_step(twin, lr=0.5)

    assert isinstance(first, HalfHvpState)
    assert isinstance(second, HalfHvpState)
    assert first.loop is not second.loop
    assert len(calls) == 2
    assert identical(problem, snapshot(twin))


@pytest.mark.parametrize("change", ["weights", "batch size", "dtype of the model", "lr"])
def test_another_shape_or_other_weights_need_another_recording(
    change: str, calls: list[int]
) -> None:
    problem, lr = tanh_net(), 0.01
    run(problem, made(lr=lr))
    if change == "weights":
        with torch.no_grad():
            problem.model[0].weight = nn.Parameter(problem.model[0].weight.clone())
    elif change == "batch size":
        problem = Problem(problem.model, problem.loss_fn, problem.inputs[:4], problem.targets[:4])
    elif change == "lr":
        lr = 0.02
    else:
        inputs = problem.inputs.float()
        problem = Problem(problem.model.float(), problem.loss_fn, inputs, problem.targets)

    run(problem, made(lr=lr))

    assert len(calls) == 2


def test_no_more_recordings_are_kept_than_a_few(calls: list[int]) -> None:
    problem = classification([9, 8, 8, 4], 8, nn.Tanh)
    for n in (2, 3, 4, 5, 6, 7, 7, 2):
        part = Problem(problem.model, problem.loss_fn, problem.inputs[:n], problem.targets[:n])
        run(part, made())

    assert len(calls) == 7  # the second of 7 was kept, that of 2 no longer


def test_recordings_go_with_their_model() -> None:
    problem = tanh_net()
    recordings_of(problem.model).record = record
    run(problem, made())
    kept = ref(recordings_of(problem.model))
    assert recordings_of(problem.model)._kept

    del problem
    gc.collect()

    assert kept() is None


@pytest.mark.usefixtures("calls")
def test_recording_leaves_the_weights_alone() -> None:
    problem = tanh_net()
    before = snapshot(problem)

    state = made(lr=0.5).prepare(problem)

    assert isinstance(state, HalfHvpState)
    assert isinstance(state.loop, Recorded)
    assert identical(problem, before)


def test_the_host_deciding_cannot_be_recorded() -> None:
    """The control: reading a norm while recording is noticed."""
    state = made().prepare(tanh_net())
    assert isinstance(state, HalfHvpState)
    assert isinstance(state.loop, Eager)
    decision = HostDecision(cap=1.0)
    decision.begin(8)

    with pytest.raises(HostWaitedError):
        record(lambda: None, lambda: state.loop.schedule.run(decision))


def test_a_loss_that_only_overflows_at_the_end_is_taken_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is looked at off the clock, and the steps before it are taken again."""
    reference = regression([6, 9, 9, 2], 4, nn.Softplus)
    run(reference, made(lr=1.0, steps=3))
    ends = []
    for recordings in (recordings_of, recorder_of(record)):
        monkeypatch.setattr(half_hvp, "recordings_of", recordings)
        problem = overflowing(regression([6, 9, 9, 2], 4, nn.Softplus), 3, lr=1.0)
        batch = (problem.inputs, problem.targets)
        result = teleport(problem.model, problem.loss_fn, batch, lr=1.0, steps=4)
        ends.append((result.status, result.steps_done, snapshot(problem)))
    assert ends[0][:2] == ends[1][:2] == (Status.NON_FINITE, 3)
    assert identical(reference, ends[0][2])
    for name, value in reference.copy().items():  # not every processor sums both ways alike
        torch.testing.assert_close(ends[1][2][name], value, rtol=1e-13, atol=1e-15)


def test_a_recording_that_went_nowhere_is_undone() -> None:
    """Without a cap it writes what is left of a step, be it nothing but rounding."""
    problem = tanh_net()
    before = snapshot(problem)
    state = made().prepare(problem)
    assert isinstance(state, HalfHvpState)
    weight = state.moving[0].weight

    class Nowhere(Eager):
        def __init__(self) -> None:
            pass

        def run(self, steps: int) -> Outcome:
            weight.add_(1e-17)
            weight.mul_(1.0 + 1e-15)
            return Outcome(Status.NO_ASCENT_DIRECTION, 0, [1.0])

    state.loop = Nowhere()
    result = made().advance(problem, state)

    assert result.status is Status.NO_ASCENT_DIRECTION
    assert identical(problem, before)
