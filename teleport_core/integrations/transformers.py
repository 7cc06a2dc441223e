"""Teleports in the loop of ``transformers.Trainer``; needs transformers and accelerate."""

from math import floor
from typing import Any

from torch.optim import Optimizer

from teleport_core.integrations.loop import numbers_from, require_one_process, required
from teleport_core.problem import LossFn
from teleport_core.training.batches import Unpack, pair
from teleport_core.training.call import Teleports
from teleport_core.training.schedule import Schedule

_TrainerCallback: Any = required("transformers", "TrainerCallback", "transformers")


def loss_of_output(output: Any, targets: Any) -> Any:
    """The loss that a model of transformers computes itself where its batch holds labels."""
    del targets
    return output.loss


class TeleportCallback(_TrainerCallback):  # type: ignore[misc]
    """Teleports before the epochs and the optimizer steps of a schedule.

    Training goes on as it would without: its batches, dropout and generators are the same. So does
    a run that ``resume_from_checkpoint`` goes on with, to the same bits; an epoch that it resumes
    in the middle is not teleported before again.

    Args:
        schedule: epochs and steps are counted from 0 by the trainer's own state.
        loss_fn: ``loss_fn(model_output, targets)``. Default: the output's own ``loss``.
        unpack: makes ``(inputs, targets)`` of a batch. Default: the whole batch is inputs by
            keyword, labels included, and there are no targets.

    Attributes:
        results: what each call of the schedule did, in order.
    """

    def __init__(
        self, schedule: Schedule, loss_fn: LossFn = loss_of_output, unpack: Unpack = pair
    ) -> None:
        self.schedule, self.loss_fn, self.unpack = schedule, loss_fn, unpack
        self.results: list[Teleports] = []
        self._epoch: int | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Refuse what is trained by several processes."""
        del state, control, kwargs
        require_one_process(args.world_size, "Trainer")
        self._epoch = None

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Teleport if the epoch is on the schedule and begins here."""
        del control
        begins = True
        if self._epoch is None:
            trained = state.epoch or 0.0
            self._epoch, begins = floor(trained), trained == floor(trained)
        else:
            self._epoch += 1
        if begins and self._epoch in self.schedule.epochs:
            self._call("before_epoch", self._epoch, args, state, kwargs)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Teleport if the optimizer step is on the schedule."""
        del control
        if state.global_step in self.schedule.at_steps:
            self._call("before_step", state.global_step, args, state, kwargs)

    def _call(self, when: str, count: int, args: Any, state: Any, given: dict[str, Any]) -> None:
        model, loader = given["model"], given["train_dataloader"]
        # The trainer does both, too, only later.
        model.train()
        if hasattr(loader, "set_epoch"):
            loader.set_epoch(self._epoch)
        with numbers_from(args.seed + state.global_step):
            results: Teleports = getattr(self.schedule, when)(
                count, model, self.loss_fn, loader, _inner(given["optimizer"]), unpack=self.unpack
            )
        self.results.append(results)


def _inner(optimizer: Any) -> Optimizer:
    """The optimizer itself, of which accelerate's is a wrapper."""
    while isinstance(getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = optimizer.optimizer
    found: Optimizer = optimizer
    return found
