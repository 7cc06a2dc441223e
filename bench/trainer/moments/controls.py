"""Controls that do at a moment as their paired arm did, without what is claimed to be the cause."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from bench.problems.factory import Batch
from bench.trainer.moments.moves import Happened, Observed, perturb
from bench.trainer.moments.teleports import Look, drawn, say, teleports
from bench.trainer.run import Run
from teleport_core import Schedule
from teleport_core.training.optimizer_state import fresh, put


def _reset(run: Run, place: int, batch: Batch, example: Happened) -> None:
    """The optimizer forgets."""
    del place, batch, example
    put(run.optimizer, fresh(run.optimizer))


def _random(run: Run, place: int, batch: Batch, example: Happened) -> None:
    """As far, on the same batches, in a random direction of the same null space."""

    def carry(asked: Callable[[], None]) -> list[Any]:
        results: list[Any] = []
        lengths = example.displacements
        batches = Observed(islice(drawn(run), len(lengths)), asked)
        for number, (length, one) in enumerate(zip(lengths, batches, strict=True)):
            seed = run.study.seed("direction", run.trial["seed"], run.step, number)
            results += _one_move(length, seed).before_epoch(
                0, run.model, run.study.task.loss_fn, [one], run.optimizer
            )
        return results

    teleports(run, place, batch, carry)


def _one_move(length: float, seed: int) -> Schedule:
    if not length:  # where the paired arm did not move
        return Schedule("identity", epochs=(0,), batches=1, steps=1)
    options: dict[str, Any] = {"displacement": length, "seed": seed, "steps": 1}
    return Schedule("random", epochs=(0,), batches=1, **options)


def _pseudo(run: Run, place: int, batch: Batch, example: Happened) -> None:
    """As far in a random direction of all weights: the loss is not kept."""
    del place, batch
    look = Look(run)
    for number, length in enumerate(example.displacements):
        look.asked()
        seed = run.study.seed("direction", run.trial["seed"], run.step, number)
        perturb(run.model, seed, length=length)
    with run.watch.standing():
        look.close(last=True)
        for move in look.moves:
            move.status = "PSEUDO"
        say(run, look.moves, {})


def _lr_gain(run: Run, place: int, batch: Batch, example: Happened) -> None:
    """The learning rate rises by the gain in gradient norm, for as long as that lasted."""
    del place, batch
    run.boosted = (example.gain, run.step + example.lasted)


def _spend(run: Run, place: int, batch: Batch, example: Happened) -> None:
    """More plain steps, as many as the teleports were worth."""
    del place, batch
    seed = run.study.seed("spending", run.trial["seed"], run.step)
    more = run.study.task.batches.teleports(seed, run.study.settings.batch_size)
    for extra in islice(more, round(example.equivalents)):
        run.train(extra, extra=True)


CONTROLS: dict[str, Callable[[Run, int, Batch, Happened], None]] = {
    "reset": _reset,
    "random": _random,
    "pseudo": _pseudo,
    "lr-gain": _lr_gain,
    "spend": _spend,
}
