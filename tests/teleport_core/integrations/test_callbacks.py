"""Both callbacks against stand-ins that call them as their trainers do."""

import random
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small_problems import batch, mlp
from stand_ins import again, upon_stand_ins
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from teleport_core import ModelError, Schedule
from teleport_core.integrations import loop

ENTRIES = 5


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return upon_stand_ins(monkeypatch)


class Recorded(Schedule):
    """A schedule that notes what it is called with, and the next random numbers."""

    def __init__(self, **options: Any) -> None:
        super().__init__("identity", batches=2, **options)
        object.__setattr__(self, "calls", [])

    def before_epoch(self, epoch: int, *args: Any, **more: Any) -> Any:
        return self._note("epoch", epoch, args, more, super().before_epoch)

    def before_step(self, step: int, *args: Any, **more: Any) -> Any:
        return self._note("step", step, args, more, super().before_step)

    def _note(self, kind: str, count: int, args: Any, more: Any, then: Any) -> Any:
        drawn = (float(torch.rand(())), random.random(), float(np.random.random()))
        self.calls.append((kind, count, args, drawn))
        return then(count, *args, **more)


def loader() -> DataLoader[Any]:
    return DataLoader(TensorDataset(*batch(20, 6, 3, seed=2)), 4, shuffle=True)


class Wrapped(torch.optim.SGD):
    """As accelerate's: an optimizer around the one that does the work."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer


def trainer_of_transformers(module: Any, schedule: Schedule, **state: Any) -> Any:
    """Calls the hooks of ``transformers.Trainer`` in their order."""
    model = mlp([6, 12, 3]).eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    callback = module.TeleportCallback(schedule, F.cross_entropy)
    own = SimpleNamespace(**{"global_step": 0, "epoch": 0.0, **state})
    args = SimpleNamespace(world_size=1, seed=7)
    given = {"model": model, "optimizer": Wrapped(optimizer), "train_dataloader": loader()}
    call = lambda hook: getattr(callback, hook)(args, own, None, **given)  # noqa: E731
    call("on_train_begin")
    for epoch in range(int(own.epoch), 3):
        call("on_epoch_begin")
        while own.global_step < ENTRIES * (epoch + 1):
            call("on_step_begin")
            own.global_step += 1
            own.epoch = own.global_step / ENTRIES
    return callback, given, optimizer


def trainer_of_lightning(module: Any, schedule: Schedule, accumulate: int = 1) -> Any:
    model = mlp([6, 12, 3])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    callback = module.TeleportCallback(schedule, F.cross_entropy)
    trainer = SimpleNamespace(
        world_size=1, optimizers=[optimizer], current_epoch=0, global_step=0,
        accumulate_grad_batches=accumulate, train_dataloader=loader(),
    )  # fmt: skip
    callback.on_train_start(trainer, model)
    for trainer.current_epoch in range(3):
        for index in range(ENTRIES):
            callback.on_train_batch_start(trainer, model, None, index)
            trainer.global_step += (index + 1) % accumulate == 0 or index + 1 == ENTRIES
    return callback, model, optimizer


def called(schedule: Any) -> list[tuple[str, int]]:
    return [(kind, count) for kind, count, *_ in schedule.calls]


def test_the_hooks_of_transformers_come_to_the_schedule(callbacks: dict[str, Any]) -> None:
    schedule = Recorded(epochs={0, 2}, at_steps={0, 7})

    callback, given, optimizer = trainer_of_transformers(callbacks["transformers"], schedule)

    assert called(schedule) == [("epoch", 0), ("step", 0), ("step", 7), ("epoch", 2)]
    assert [len(results) for results in callback.results] == [2, 2, 2, 2]
    for _, _, (model, loss_fn, batches, held), _ in schedule.calls:
        assert (model, batches) == (given["model"], given["train_dataloader"])
        assert loss_fn is F.cross_entropy
        assert held is optimizer
    assert given["model"].training  # as the trainer's next step has it


def test_an_epoch_that_goes_on_is_not_begun_again(callbacks: dict[str, Any]) -> None:
    module = callbacks["transformers"]
    in_the_middle, at_its_start = Recorded(), Recorded()

    trainer_of_transformers(module, in_the_middle, global_step=7, epoch=7 / ENTRIES)
    trainer_of_transformers(module, at_its_start, global_step=5, epoch=1.0)

    assert called(in_the_middle) == [("epoch", 2)]
    assert called(at_its_start) == [("epoch", 1), ("epoch", 2)]


def test_a_loader_with_epochs_is_told_which(callbacks: dict[str, Any]) -> None:
    told = []

    class Told(DataLoader[Any]):
        def set_epoch(self, epoch: int) -> None:
            told.append(epoch)

    module = callbacks["transformers"]
    model = mlp([6, 12, 3])
    callback = module.TeleportCallback(Recorded(epochs={4}, at_steps={22}), F.cross_entropy)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    given = {"model": model, "optimizer": optimizer}
    given["train_dataloader"] = Told(TensorDataset(*batch(20, 6, 3)), 4)
    state = SimpleNamespace(global_step=20, epoch=4.0)
    callback.on_epoch_begin(SimpleNamespace(seed=1), state, None, **given)
    state.global_step = 22
    callback.on_step_begin(SimpleNamespace(seed=1), state, None, **given)

    assert told == [4, 4]


def test_the_hooks_of_lightning_come_to_the_schedule(callbacks: dict[str, Any]) -> None:
    schedule = Recorded(epochs={0, 2}, at_steps={0, 7})

    callback, model, optimizer = trainer_of_lightning(callbacks["lightning"], schedule)

    assert called(schedule) == [("epoch", 0), ("step", 0), ("step", 7), ("epoch", 2)]
    assert [len(results) for results in callback.results] == [2, 2, 2, 2]
    assert all(args[0] is model and args[3] is optimizer for _, _, args, _ in schedule.calls)


def test_batches_whose_gradients_are_summed_are_one_step(callbacks: dict[str, Any]) -> None:
    schedule = Recorded(at_steps=range(99))

    trainer_of_lightning(callbacks["lightning"], schedule, accumulate=2)

    assert called(schedule) == [("step", count) for count in range(9)]


@pytest.mark.parametrize("name", ["transformers", "lightning"])
def test_numbers_depend_on_the_place_alone_and_none_is_drawn(
    callbacks: dict[str, Any], name: str
) -> None:
    run = {"transformers": trainer_of_transformers, "lightning": trainer_of_lightning}[name]
    found = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)
        before = random.getstate(), str(np.random.get_state())
        schedule = Recorded(at_steps={3, 4})
        run(callbacks[name], schedule)
        found.append([drawn for *_, drawn in schedule.calls])
        assert (random.getstate(), str(np.random.get_state())) == before

    assert found[0] == found[1]
    assert found[0][0] != found[0][1]


def test_after_the_call_the_generators_go_on() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)

    with loop.numbers_from(9):
        torch.rand(5)

    assert torch.equal(torch.rand(2), expected)


def test_several_processes_or_optimizers_are_refused(callbacks: dict[str, Any]) -> None:
    callback = callbacks["transformers"].TeleportCallback(Schedule())
    with pytest.raises(ModelError, match="a Trainer of one process; got 2, of which each"):
        callback.on_train_begin(SimpleNamespace(world_size=2), None, None)

    callback = callbacks["lightning"].TeleportCallback(Schedule(), F.cross_entropy)
    with pytest.raises(ModelError, match="a Trainer of one process; got 4"):
        callback.on_train_start(SimpleNamespace(world_size=4), None)
    with pytest.raises(ModelError, match="a LightningModule of one optimizer; got 2: call the"):
        callback.on_train_start(SimpleNamespace(world_size=1, optimizers=[1, 2]), None)


@pytest.mark.parametrize("name", ["transformers", "lightning"])
def test_without_the_library_the_import_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, f"{name}.pytorch", None)

    with pytest.raises(ImportError, match=rf"library {name} .*teleport-bench\[integrations\]"):
        again(name, monkeypatch)


def test_the_loss_of_a_model_that_has_one(callbacks: dict[str, Any]) -> None:
    loss = torch.ones(())
    module = callbacks["transformers"]

    assert module.loss_of_output(SimpleNamespace(loss=loss), None) is loss
    assert module.TeleportCallback(Schedule()).loss_fn is module.loss_of_output
    assert isinstance(module.TeleportCallback(Schedule()), module._TrainerCallback)
