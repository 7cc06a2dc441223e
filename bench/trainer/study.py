"""What all trials of a unit share: the task, the settings, the losses, the prices of teleports."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.plan.points import Point
from bench.problems.datasets import load_dataset
from bench.process.protocol import Message
from bench.seeds import seed_for
from bench.trainer.data import Task, task_of
from bench.trainer.equivalents import Price, price_of
from bench.trainer.evaluation import Evaluation
from bench.trainer.tasks.direction import combiner_for
from bench.training.arms import Arm, all_arms, paired_arm
from bench.training.moments import Moments, check_within, parse_moments
from bench.training.settings import Training


@dataclass(frozen=True)
class Study:
    """What all trials of a unit share.

    Attributes:
        arms: by name.
        paired: the arm that controls do as; None where there is no teleport.
        prices: of the arms that were asked for, see ``price``.
    """

    arms: dict[str, Arm]
    paired: Arm | None
    task: Task
    settings: Training
    moments: Moments
    evaluation: Evaluation
    prices: dict[str, Price | None] = field(default_factory=dict)

    @property
    def watched(self) -> str | None:
        """The arm whose gradient norms are followed after its teleports, for ``lr-gain``."""
        return self.paired.name if self.paired is not None and "lr-gain" in self.arms else None

    def task_of(self, arm: Arm) -> Task:
        """The task with the combiner of an arm that has one of its own."""
        if not arm.combiner:
            return self.task
        return self.task._replace(combine=combiner_for(arm.combiner))

    def price(self, arm: Arm) -> Price | None:
        """What a teleport of an arm costs; None where that cannot be counted, or there is none.

        Raises whatever the teleport does where the arm cannot be carried out.
        """
        stands_for = self.paired if arm.name == "random" else arm  # it does the same work
        if stands_for is None or stands_for.variant is None:
            return None
        if stands_for.name not in self.prices:
            batches, point = self.task.batches, self.task.point
            training, batch = next(batches.epoch(0)), next(batches.teleports(0, point.n))
            self.prices[stands_for.name] = price_of(stands_for, self.task, point.t, training, batch)
        return self.prices[stands_for.name]

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
    return Study(arms, paired, task, settings, moments, evaluation)
