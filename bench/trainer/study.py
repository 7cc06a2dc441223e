"""What all trials of a unit share: the task, the settings, the losses, the prices of teleports."""

from dataclasses import dataclass
from pathlib import Path

from bench.plan.points import Point
from bench.problems.datasets import load_dataset
from bench.process.protocol import Message
from bench.seeds import seed_for
from bench.trainer.data import Task, task_of
from bench.trainer.equivalents import Price, price_of
from bench.trainer.evaluation import Evaluation
from bench.training.arms import Arm, all_arms, paired_arm
from bench.training.moments import Moments, check_within, parse_moments
from bench.training.settings import Training


@dataclass(frozen=True)
class Study:
    """What all trials of a unit share.

    Attributes:
        arms: by name.
        paired: the arm that controls do as; None where there is no teleport.
        prices: arm -> what its teleports cost; None where that cannot be counted.
    """

    arms: dict[str, Arm]
    paired: Arm | None
    task: Task
    settings: Training
    moments: Moments
    evaluation: Evaluation
    prices: dict[str, Price | None]

    @property
    def watched(self) -> str | None:
        """The arm whose gradient norms are followed after its teleports, for ``lr-gain``."""
        return self.paired.name if self.paired is not None and "lr-gain" in self.arms else None

    def seed(self, what: str, *facts: int) -> int:
        """A seed that all arms share."""
        return seed_for(self.task.root, f"training {what}", *facts)


def study_of(command: Message) -> Study:
    """The study that a command is of.

    Raises:
        SpecError: the data or the model are not there, or do not fit the settings.
    """
    settings, point = Training(**command["settings"]), Point(**command["point"])
    root, where = command["seed"], command["data_dir"]
    own = ":" in point.model
    data = None if own else load_dataset(point.dataset, Path(where) if where else None)
    task = task_of(point, settings, root, data, bias=command["bias"])
    moments = parse_moments(settings.schedule)
    check_within(moments, settings.epochs, task.batches.steps)
    evaluation = Evaluation(task.loss_fn, *task.batches.evaluated())
    arms = {arm.name: arm for arm in all_arms(settings.arms)}
    paired = paired_arm(list(arms.values()))
    names = {trial["arm"] for trial in command["trials"]}
    prices = {name: _price(arms[name], task) for name in names if arms[name].variant is not None}
    if paired is not None:
        prices["random"] = prices.get(paired.name)  # it stands for the same work
    return Study(arms, paired, task, settings, moments, evaluation, prices)


def _price(arm: Arm, task: Task) -> Price | None:
    """None, too, where the arm cannot be carried out: its trial says why."""
    batch, training = next(task.batches.teleports(0, task.point.n)), next(task.batches.epoch(0))
    try:
        return price_of(arm, task, task.point.t, training, batch)
    except Exception:
        return None
