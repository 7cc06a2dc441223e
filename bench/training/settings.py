"""The section of a spec that says what is trained, how often and against what."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.errors import SpecError
from bench.spec import checks
from bench.training.arms import check_arms
from bench.training.combiners import MEAN, check_combiner
from bench.training.moments import check_within, parse_moments

# The middle of the log grid on which the learning rate is tuned: the usual one of each optimizer.
MIDDLES = {
    "sgd": 0.1,
    "momentum": 0.02,
    "adagrad": 0.02,
    "adam": 1e-3,
    "adamw": 1e-3,
    "muon": 0.02,
}
OPTIMIZERS = tuple(MIDDLES)
LR_SCHEDULES = ("constant", "step", "cosine")
_GRID_FACTOR = 10**0.5


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training experiment; width, depth and the teleports' t, n and b are the spec's base.

    Attributes:
        optimizers: of ``OPTIMIZERS``; momentum is SGD with momentum 0.9.
        arms: see ``bench.training.arms``; ``plain`` is among them whether it is named or not.
        seeds: how many paired runs of every arm are judged.
        epochs: of each run, which is its budget.
        batch_size: of a training step; the teleports' is the base's n.
        samples: of the training set that are used; 0 uses all.
        schedule: when teleports happen, see ``bench.training.moments``.
        evaluations: in an epoch, at equal distances.
        evaluation_samples: of the training set, and of the held-out, that a loss is taken over.
        lr: at which all arms are compared as they are, one for all or one an optimizer; 0 leaves
            that question out.
        tune: learning rates tried for every arm, on a log grid of half decades around the
            optimizer's usual one; 0 leaves the comparison of tuned arms out.
        tuning_seeds: runs of each, with seeds that are not judged.
        target_at: the share of the budget after which plain training, in the median over the
            tuning seeds, defines the target. Where runs ended there, half of plain would miss it.
        minimum_effect: ratios of time nearer to 1 count as the same.
        lr_schedule: constant, step (a tenth after half and three quarters) or cosine.
        warmup: steps in which the learning rate rises to its value.
        combiner: how the gradients of several tasks become one direction, in every arm that says
            nothing else; see ``bench.training.combiners``. Without effect on a loss of one value.
        horizon: plain steps after which the decomposition of a gain looks at the loss.
        figure: of the paper, which is repeated, in words for the page.
        reduced: what is smaller here than there, in words for the page.
    """

    optimizers: tuple[str, ...] = ("sgd",)
    arms: tuple[str, ...] = ("plain", "nullspace:growth=4")
    seeds: int = 3
    epochs: int = 5
    batch_size: int = 32
    samples: int = 0
    schedule: str = "0:5"
    evaluations: int = 1
    evaluation_samples: int = 2000
    lr: float | Mapping[str, float] = 0.0
    tune: int = 5
    tuning_seeds: int = 1
    target_at: float = 0.667
    minimum_effect: float = 0.05
    lr_schedule: str = "constant"
    warmup: int = 0
    combiner: str = MEAN
    horizon: int = 10
    figure: str = ""
    reduced: str = ""

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        optimizers = checks.items("training.optimizers", self.optimizers)
        for name in optimizers:
            checks.choice("an optimizer", name, OPTIMIZERS)
        checks.distinct("training.optimizers", optimizers)
        if not optimizers:
            raise SpecError("expected at least one optimizer; got none: write for example sgd")
        object.__setattr__(self, "optimizers", optimizers)
        object.__setattr__(self, "arms", check_arms("training.arms", self.arms))
        for name in ("seeds", "epochs", "batch_size", "evaluations", "evaluation_samples"):
            checks.whole(f"training.{name}", getattr(self, name))
        for name in ("samples", "tune", "warmup"):
            checks.whole(f"training.{name}", getattr(self, name), at_least=0)
        for name in ("tuning_seeds", "horizon"):
            checks.whole(f"training.{name}", getattr(self, name))
        checks.number("training.target_at", self.target_at, above=0, at_most=1)
        checks.number("training.minimum_effect", self.minimum_effect, above=0, at_most=1)
        checks.choice("training.lr_schedule", self.lr_schedule, LR_SCHEDULES)
        check_combiner("training.combiner", self.combiner)
        check_within(parse_moments(self.schedule), self.epochs)
        if not (self.lrs or self.tune):
            raise SpecError(
                "expected a learning rate, or trials to tune it; got lr = 0 and tune = 0: write "
                "for example --lr 0.1, or --tune 5"
            )

    @property
    def lrs(self) -> dict[str, float]:
        """Optimizer -> its fixed learning rate; empty where that question is left out."""
        if isinstance(self.lr, Mapping):
            for name in self.lr:
                checks.choice("an optimizer of training.lr", name, self.optimizers)
            return {name: checks.number("training.lr", v, above=0) for name, v in self.lr.items()}
        if self.lr == 0:
            return {}
        value = checks.number("training.lr", self.lr, above=0)
        return dict.fromkeys(self.optimizers, value)

    def grid(self, optimizer: str) -> list[float]:
        """The learning rates that are tried, ascending: half decades around the usual one."""
        first = -(self.tune // 2)
        middle = MIDDLES[optimizer]
        return [float(f"{middle * _GRID_FACTOR**k:.3g}") for k in range(first, first + self.tune)]
