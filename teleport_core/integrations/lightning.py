"""Teleports in the loop of Lightning's ``Trainer``; needs lightning."""

from typing import Any

from teleport_core.errors import ModelError
from teleport_core.integrations.loop import numbers_from, require_one_process, required
from teleport_core.problem import LossFn
from teleport_core.training.batches import Unpack, pair
from teleport_core.training.call import Teleports
from teleport_core.training.schedule import Schedule

_Callback: Any = required("lightning.pytorch", "Callback", "lightning")


class TeleportCallback(_Callback):  # type: ignore[misc]
    """Teleports before the epochs and the optimizer steps of a schedule.

    The model is the ``LightningModule``, called as ``module(inputs)``. Training goes on as it would
    without. A run that goes on from a checkpoint teleports as the unbroken one would; that its own
    batches and dropout are the same is the loader's business, as Lightning keeps no generator.

    Args:
        schedule: epochs and steps are ``current_epoch`` and ``global_step``.
        loss_fn: ``loss_fn(model_output, targets)``.
        unpack: makes ``(inputs, targets)`` of a batch. Default: a pair is that already.

    Attributes:
        results: what each call of the schedule did, in order.
    """

    def __init__(self, schedule: Schedule, loss_fn: LossFn, unpack: Unpack = pair) -> None:
        super().__init__()
        self.schedule, self.loss_fn, self.unpack = schedule, loss_fn, unpack
        self.results: list[Teleports] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuse what is trained by several processes, or by several optimizers."""
        del pl_module
        require_one_process(trainer.world_size, "Trainer")
        if len(trainer.optimizers) != 1:
            raise ModelError(
                f"expected a LightningModule of one optimizer; got {len(trainer.optimizers)}: "
                "call the schedule yourself, in on_train_epoch_start"
            )

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Teleport if the epoch, or the optimizer step, begins here and is on the schedule."""
        del batch
        # on_train_epoch_start is not called in the first epoch after a checkpoint.
        if batch_idx == 0 and trainer.current_epoch in self.schedule.epochs:
            self._call("before_epoch", trainer.current_epoch, trainer, pl_module)
        begins = batch_idx % trainer.accumulate_grad_batches == 0
        if begins and trainer.global_step in self.schedule.at_steps:
            self._call("before_step", trainer.global_step, trainer, pl_module)

    def _call(self, when: str, count: int, trainer: Any, pl_module: Any) -> None:
        with numbers_from(trainer.global_step):
            results: Teleports = getattr(self.schedule, when)(
                count,
                pl_module,
                self.loss_fn,
                trainer.train_dataloader,
                trainer.optimizers[0],
                unpack=self.unpack,
            )
        self.results.append(results)
