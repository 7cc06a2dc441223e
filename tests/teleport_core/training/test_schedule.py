"""Algorithm 1 in a loop: what a schedule draws, moves and leaves alone."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from math import isnan
from typing import Any, ClassVar

import pytest
import torch
from loops import bits, data, loader, net, step, train
from small_problems import mlp
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adadelta, Adam
from torch.utils.data import DataLoader

import teleport_core
from teleport_core import (
    Guarantee,
    ModelError,
    OptionError,
    Problem,
    ProblemError,
    Schedule,
    State,
    Status,
    Teleporter,
    TeleportResult,
    registry,
)  # fmt: skip
from teleport_core.training import transport

adam = partial(Adam, lr=1e-3)
STATES = ["keep", "reset"]


@pytest.mark.parametrize("options", [{}, {"generator": True}], ids=["global", "own generator"])
@pytest.mark.parametrize("guard", [None, "lookahead"])
def test_a_loop_with_teleports_that_move_nothing_is_the_loop_without(
    options: dict[str, Any], guard: str | None
) -> None:
    schedule = Schedule("identity", epochs={0, 1}, at_steps={2, 7}, batches=3, guard=guard)
    ends = []
    for one in (None, schedule):
        made = {"generator": torch.Generator().manual_seed(5)} if options else {}
        model, optimizer, found, drawn = train(one, adam, **made)
        ends.append((bits(model, optimizer), drawn))

    assert [len(results) for results in found if results] == [3, 3, 3, 3]
    assert ends[0] == ends[1]


def test_it_is_teleport_on_the_first_batches_one_after_the_other() -> None:
    schedule = Schedule(epochs={1}, batches=2, lr=1e-2, steps=3)
    ours, theirs = net(), net()
    batches = DataLoader(data(), 8)

    results = schedule.before_epoch(1, ours, F.cross_entropy, batches, adam(ours.parameters()))
    theirs[3].eval()
    expected = [
        teleport_core.teleport(theirs, F.cross_entropy, tuple(batch), lr=1e-2, steps=3)
        for batch in [*batches][:2]
    ]

    assert [r.grad_norm_sq for r in results] == [r.grad_norm_sq for r in expected]
    assert results.kept
    assert results.lookahead is None
    assert bits(ours) == bits(theirs)


def test_training_sees_the_batches_that_were_teleported_on() -> None:
    torch.manual_seed(8)
    batches, seen = loader(), []

    def unpack(item: Any) -> Any:
        seen.append(item[0])
        return item

    model = net()
    Schedule("identity", batches=3).before_epoch(
        0, model, F.cross_entropy, batches, adam(model.parameters()), unpack=unpack
    )

    assert all(torch.equal(a, b[0]) for a, b in zip(seen, batches, strict=False))
    assert len(seen) == 3


def test_epochs_and_steps_that_are_not_on_the_schedule_do_nothing() -> None:
    schedule = Schedule(at_steps=range(0, 2000, 500))

    assert schedule.before_epoch(0, None, None, None, None) == []
    assert schedule.before_step(250, None, None, None, None) == []
    assert Schedule().epochs == range(5)
    assert Schedule(epochs={3}, at_steps={4}).epochs == {3}


def test_a_short_loader_gives_what_it_has() -> None:
    model = net()
    schedule = Schedule("identity", batches=32, guard="lookahead")

    results = schedule.before_epoch(0, model, F.cross_entropy, loader(), adam(model.parameters()))

    assert len(results) == 5


def test_a_mapping_is_inputs_by_keyword_and_the_loss_is_in_the_output() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp([8, 24, 24, 3])

        def forward(self, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.body(x)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    model = Own()
    batches = [{"x": x, "labels": y} for x, y in DataLoader(data(), 8)]

    (result,) = Schedule(batches=1, lr=1e-3).before_epoch(
        0, model, lambda out, _: out["loss"], batches, SGD(model.parameters(), lr=0.1)
    )

    assert result.steps_done == 8
    assert result.grad_norm_sq[-1] > result.grad_norm_sq[0]


def test_the_state_is_kept_or_reset() -> None:
    for rule in ("keep", "reset"):
        model = net()
        optimizer = adam(model.parameters())
        step(model, next(iter(loader())), optimizer)
        before = copy.deepcopy(optimizer.state_dict())

        schedule = Schedule(batches=1, lr=1e-3, optimizer_state=rule)
        schedule.before_epoch(0, model, F.cross_entropy, loader(), optimizer)

        kept = repr(optimizer.state_dict()) == repr(before)
        assert kept == (rule == "keep")
        assert (optimizer.state_dict()["state"] == {}) == (rule == "reset")


@dataclass(frozen=True, kw_only=True)
class Rescaled(TeleportResult):
    scales: Mapping[str, Tensor]


def at_its_point(problem: Problem) -> tuple[float, float]:
    loss = problem.loss()
    gradients = torch.autograd.grad(loss, list(problem.parameters().values()))
    return loss.item(), sum(g.square().sum().item() for g in gradients)


@dataclass(frozen=True, kw_only=True)
class Rescale(Teleporter):
    """Doubles the first unit of a ReLU net with one hidden layer, and halves what it gives."""

    name: ClassVar[str] = "by hand"

    def prepare(self, problem: Problem) -> State:
        return State()

    def advance(self, problem: Problem, state: State) -> Rescaled:
        own, (loss, start) = problem.copy(), at_its_point(problem)
        up = torch.ones_like(own["0.bias"])
        up[0] = 2.0
        scales = {"0.weight": up[:, None], "0.bias": up, "2.weight": 1 / up}
        state.write(problem, {name: own[name] * scale for name, scale in scales.items()})
        return Rescaled(
            status=Status.DONE, steps_done=1, loss=[loss] * 2, null_dims={},
            grad_norm_sq=[start, at_its_point(problem)[1]],
            guarantee=Guarantee.EXACT_EVERYWHERE, scales=scales,
        )  # fmt: skip

    def action(self, result: Rescaled) -> Mapping[str, Tensor]:
        return result.scales


@pytest.mark.parametrize("guard", [None, "lookahead"])
def test_a_method_with_an_action_takes_the_state_along(
    monkeypatch: pytest.MonkeyPatch, guard: str | None
) -> None:
    monkeypatch.setattr(registry, "_addresses", lambda: {"by hand": f"{__name__}:Rescale"})
    model = mlp([8, 12, 3])
    optimizer = adam(model.parameters())
    batches = [tuple(batch) for batch in DataLoader(data(), 8)]
    step(model, batches[0], optimizer)
    twin = copy.deepcopy((model, optimizer))
    schedule = Schedule("by hand", batches=2, optimizer_state="transport", guard=guard)

    results = schedule.before_epoch(0, model, F.cross_entropy, batches, optimizer)

    assert results.kept == (guard is None or results.lookahead.not_worse)
    if results.kept:
        up = torch.ones(12).double()
        up[0] = 4.0
        other = list(twin[0].parameters())
        transport(twin[1], {other[0]: up[:, None], other[1]: up, other[2]: 1 / up})
        assert torch.equal(model[0].weight, other[0] * up[:, None])
    assert len(results) == 2
    for p, q in zip(model.parameters(), twin[0].parameters(), strict=True):
        for key, value in optimizer.state[p].items():
            torch.testing.assert_close(value, twin[1].state[q][key], rtol=1e-12, atol=0)


def test_what_the_optimizer_does_not_hold_has_no_state_to_take_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_addresses", lambda: {"by hand": f"{__name__}:Rescale"})
    model = mlp([8, 12, 3])
    optimizer = SGD(model[2].parameters(), lr=0.1, momentum=0.9)
    batches = [tuple(batch) for batch in DataLoader(data(), 8)]
    step(model, batches[0], optimizer)
    before = optimizer.state[model[2].weight]["momentum_buffer"].clone()

    Schedule("by hand", batches=1, optimizer_state="transport").before_epoch(
        0, model, F.cross_entropy, batches, optimizer
    )

    after = optimizer.state[model[2].weight]["momentum_buffer"]
    assert torch.equal(after[:, 0], before[:, 0] * 2)
    assert torch.equal(after[:, 1:], before[:, 1:])


def test_an_optimizer_without_rules_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_addresses", lambda: {"by hand": f"{__name__}:Rescale"})
    model = mlp([8, 12, 3])
    schedule = Schedule("by hand", optimizer_state="transport")

    with pytest.raises(ProblemError, match=r"can be transported, one of .*; got Adadelta"):
        schedule.before_epoch(0, model, F.cross_entropy, None, Adadelta(model.parameters()))


def test_nothing_is_taken_along_where_no_step_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the cap the method was not asked, and its result is none of its own."""
    monkeypatch.setattr(registry, "_addresses", lambda: {"by hand": f"{__name__}:Rescale"})
    model = mlp([8, 12, 3])
    optimizer = adam(model.parameters())
    before = bits(model, optimizer)

    results = Schedule("by hand", batches=1, optimizer_state="transport", cap=1e-9).before_epoch(
        0, model, F.cross_entropy, loader(), optimizer
    )

    assert results[0].status is Status.CAPPED
    assert bits(model, optimizer) == before


def test_an_option_of_the_call_itself_comes_to_it() -> None:
    model = net()
    schedule = Schedule(batches=1, verify="off", steps=2, lr=1e-3)

    (result,) = schedule.before_epoch(0, model, F.cross_entropy, loader(), adam(model.parameters()))

    assert result.steps_done == 2
    assert isnan(result.output_change)


REFUSED = [
    (
        {"optimizer_state": "drop"},
        "optimizer_state to be one of keep, reset, transport, reuse; got 'drop'",
    ),
    ({"guard": "loss"}, "guard, where it is not None, to be one of lookahead; got 'loss'"),
    ({"batches": 0}, "batches to be a whole number >= 1; got 0"),
    ({"batches": 1.5}, "batches to be a whole number"),
    ({"epochs": 5}, r"epochs to hold whole numbers, such as range\(5\) or \{0, 10\}; got 5"),
    ({"at_steps": "0:5"}, "at_steps to hold whole numbers"),
    ({"method": "nullspaces"}, "did you mean 'nullspace'"),
    ({"step": 8}, "did you mean 'steps'"),
    ({"lr": -1.0}, "lr to be a number > 0"),
    ({"optimizer_state": "transport"}, "nullspace has none, so that its optimizer state cannot"),
    ({"method": "symmetry", "optimizer_state": "transport"}, "symmetry has none"),
]


@pytest.mark.parametrize(("options", "says"), REFUSED)
def test_what_a_schedule_cannot_be_is_one_sentence(options: dict[str, Any], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Schedule(**options)


CALLS = {
    "another optimizer": (ProblemError, "holds none of its parameters"),
    "no optimizer": (OptionError, "expected optimizer to be a torch.optim.Optimizer; got NoneType"),
    "no model": (ModelError, "expected model to be a torch.nn.Module; got str"),
    "empty loader": (ProblemError, "at least one batch; got an empty one"),
    "iterator": (OptionError, "drawn from only once"),
    "no loader": (OptionError, "a DataLoader or a list of batches; got int"),
    "triples": (ProblemError, "got tuple of 3: hand over unpack="),
    "unpack": (ProblemError, "expected unpack to return a pair .*; it returned Tensor"),
    "third batch": (ProblemError, "expected"),
    "interrupt": (KeyboardInterrupt, "now"),
    "epoch": (OptionError, "epoch to be a whole number >= 0; got -1"),
}


@pytest.mark.parametrize("name", list(CALLS))
@pytest.mark.parametrize("guard", [None, "lookahead"])
def test_what_cannot_be_done_moves_nothing(name: str, guard: str | None) -> None:
    model = net()
    optimizer = adam(model.parameters())
    step(model, next(iter(loader())), optimizer)
    batches: Any = [tuple(batch) for batch in DataLoader(data(), 8)]
    held: Any = adam(net().parameters()) if name == "another optimizer" else optimizer
    before, drawn = bits(model, optimizer), torch.get_rng_state()
    gradients = [p.grad for p in model.parameters()]

    def unpack(item: Any) -> Any:
        return item[0] if name == "unpack" else teleport_core.training.batches.pair(item)

    if name == "no optimizer":
        held = None
    if name == "third batch":
        batches[2] = (batches[2][0], batches[2][1] + 9)
    replaced = {
        "empty loader": [], "iterator": iter(batches), "no loader": 7,
        "triples": [(*batch, 1) for batch in batches], "interrupt": Ending(batches),
    }  # fmt: skip
    batches = replaced.get(name, batches)
    schedule = Schedule(lr=1e-3, guard=guard, optimizer_state="reset")
    error, says = CALLS[name]

    with pytest.raises(error, match=says):
        schedule.before_epoch(
            -1 if name == "epoch" else 0,
            "it" if name == "no model" else model,
            F.cross_entropy,
            batches,
            held,
            unpack=unpack,
        )

    assert bits(model, optimizer) == before
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(a is p.grad for a, p in zip(gradients, model.parameters(), strict=True))
    assert all(module.training for module in model.modules())


class Ending:
    """Batches that are interrupted after the second."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Any:
        yield from self.batches[:2]
        raise KeyboardInterrupt("now")


def test_a_schedule_is_frozen_and_shows_what_it_is() -> None:
    schedule = Schedule(batches=4, lr=0.1)

    with pytest.raises(AttributeError):
        schedule.batches = 5
    assert "batches=4" in repr(schedule)
    assert schedule == Schedule(batches=4, lr=0.1)
    assert schedule != Schedule(batches=4, lr=0.2)
