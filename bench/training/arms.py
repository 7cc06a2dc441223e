"""The arms of a training experiment: plain training, a teleport, or a control.

A teleport arm is written as a variant, ``nullspace:growth=4``; beside the method's options it may
have those of ``teleport_core.Schedule``, ``guard`` and ``optimizer_state``, and
``objective=optimizer``, the decrease by the next step of the optimizer that trains. Where there are
several tasks ``combiner=`` says how their gradients are combined, in place of the setting of that
name, and ``plain:combiner=cagrad`` trains without teleports. The controls
(``docs/training_experiments.md`` says what each is for) are words:

- ``aa``: plain once more, which must not differ in anything but time;
- ``jitter``: plain from initial weights that are other by a factor of 1 + 1e-6 N(0, 1): the noise
  from run to run of a paired difference;
- ``reset``: the optimizer's state is reset where the paired arm teleports, and nothing moves;
- ``random``: as far as the paired arm moved, in a random direction of the same null space;
- ``pseudo``: as far, in a random direction of all weights, so that the loss is not kept;
- ``lr-gain``: plain with the learning rate times the gain in gradient norm while that lasted;
- ``spend``: the gradient-equivalents of the teleports are spent on more plain steps;
- ``normalised``, of the optimizer sgd alone: steps of a fixed length along g / ||g||, and
  ``normalised+VARIANT`` with teleports: a gain of the norm alone cannot enter.

The paired arm of a control is the first teleport arm of the experiment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.errors import SpecError
from bench.spec import checks
from bench.spec.checks import shown
from bench.spec.variants import Value, Variant, parse_variant
from bench.training.combiners import check_combiner

PLAIN = "plain"
NORMALISED = "normalised"
CONTROLS = ("aa", "jitter", "reset", "random", "pseudo", "lr-gain", "spend", NORMALISED)
PAIRED = ("reset", "random", "pseudo", "lr-gain", "spend")  # do what the paired arm did

OPTIMIZER = "optimizer"
_SCHEDULED = ("guard", "optimizer_state")
_COMBINER = "combiner"


@dataclass(frozen=True)
class Arm:
    """One way to train: ``name`` as it is written, and the teleport in it, if there is one."""

    name: str
    variant: Variant | None = None
    combiner: str = ""  # of the gradients of several tasks; "" that of the settings

    @property
    def is_control(self) -> bool:
        """Whether it is there to explain a gain, and not to have one."""
        return self.name in CONTROLS or self.normalised

    @property
    def normalised(self) -> bool:
        """Whether its steps have a fixed length."""
        return self.name.partition("+")[0] == NORMALISED

    @property
    def against(self) -> str:
        """The arm that it is compared with."""
        return NORMALISED if self.normalised and self.variant else PLAIN

    @property
    def climbs_for_optimizer(self) -> bool:
        """Whether its objective is the decrease by the next step of what trains the model."""
        return self.variant is not None and self.variant.options.get("objective") == OPTIMIZER

    @property
    def method_options(self) -> dict[str, Value]:
        """What the method takes; an objective that is the optimizer's is left out."""
        options = {} if self.variant is None else self.variant.options
        left_out = {*_SCHEDULED, _COMBINER, *(["objective"] if self.climbs_for_optimizer else [])}
        return {name: value for name, value in options.items() if name not in left_out}

    @property
    def reuses(self) -> bool:
        """Whether its teleports are compared with the gradient of the step before."""
        return self.schedule_options.get("optimizer_state") == "reuse"

    @property
    def schedule_options(self) -> dict[str, Value]:
        """What ``teleport_core.Schedule`` takes itself."""
        options = {} if self.variant is None else self.variant.options
        return {name: value for name, value in options.items() if name in _SCHEDULED}


def parse_arm(text: str) -> Arm:
    """Read the word of a control, ``plain``, or a variant; SpecError: it is none of these."""
    name = text.strip()
    if name in (PLAIN, *CONTROLS):
        return Arm(name)
    variant = parse_variant(name)
    combiner = variant.options.get(_COMBINER, "")
    if combiner:
        check_combiner(f"the combiner of {name}", combiner)
    if variant.method != PLAIN:
        return Arm(str(variant), variant, str(combiner))
    if set(variant.options) != {_COMBINER}:
        raise SpecError(
            f"expected plain, or plain:combiner=NAME where there are several tasks; got "
            f"{shown(name)}: controls are {', '.join(CONTROLS)}"
        )
    return Arm(str(variant), None, str(combiner))


def check_arms(name: str, arms: object) -> tuple[str, ...]:
    """The arms as texts, each once, ``plain`` first; SpecError: a control without its pair."""
    found = [parse_arm(checks.text(name, entry)) for entry in checks.items(name, arms)]
    texts = [arm.name for arm in found if arm.name != PLAIN]
    checks.distinct(name, [arm.name for arm in found])
    pairless = [text for text in texts if text in PAIRED]
    if pairless and not any(arm.variant for arm in found):
        raise SpecError(
            f"expected a teleport among {name} beside {pairless[0]}, which does what that one did; "
            f"got {', '.join(texts)}: add for example nullspace:growth=4"
        )
    if not texts:
        raise SpecError(f"expected {name} to hold a teleport or a control; got plain alone")
    return (PLAIN, *texts)


def paired_arm(arms: Sequence[Arm]) -> Arm | None:
    """The first teleport arm, which the controls do the same as."""
    return next((arm for arm in arms if arm.variant is not None), None)


def all_arms(texts: Sequence[str]) -> tuple[Arm, ...]:
    """What is trained for these texts: ``normalised`` is with and without teleports."""
    arms = [parse_arm(text) for text in texts]
    paired = paired_arm(arms)
    if paired is not None and NORMALISED in texts:
        arms.append(Arm(f"{NORMALISED}+{paired.name}", paired.variant, paired.combiner))
    return tuple(arms)
