"""What was found of one method on a live model."""

from dataclasses import asdict, dataclass
from math import nan
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """A median over paired rounds and its 95 % interval; NaN where it is not known."""

    value: float = nan
    low: float = nan
    high: float = nan


UNKNOWN = Interval()


@dataclass(frozen=True, kw_only=True)
class MethodMeasured:
    """One method on the loader's first batch; NaN where something is not known.

    Attributes:
        variant: the method with its options.
        status: "ok"; "skipped": it cannot move this model; "invalid": not every step could be
            timed, or the numbers are no good. ``reason`` says why.
        sgd_s: seconds of an SGD step.
        call_s: seconds of a whole call, all of its steps and checks.
        step_sgd_steps: one teleport step over the SGD step beside it.
        prepare_sgd_steps: what is done once per batch over the SGD step beside it.
        call_sgd_steps: the whole call over the SGD step beside it.
        teleport_status: how the call ended whose effect is told; name of a ``Status``.
        guarantee: what that call promises; name of a ``Guarantee``.
        grad_norm_sq: ||g||^2 at every step of it, entry 0 before the first.
        loss: on the batch, before and after.
        loss_change: relative change of it.
        heldout_change: the same on the loader's second batch.
        output_change: relative change of the outputs on the batch.
    """

    variant: str
    status: str = "ok"
    reason: str = ""
    sgd_s: Interval = UNKNOWN
    call_s: Interval = UNKNOWN
    step_sgd_steps: Interval = UNKNOWN
    prepare_sgd_steps: Interval = UNKNOWN
    call_sgd_steps: Interval = UNKNOWN
    teleport_status: str = ""
    guarantee: str = ""
    grad_norm_sq: tuple[float, ...] = ()
    loss: tuple[float, ...] = ()
    loss_change: float = nan
    heldout_change: float = nan
    output_change: float = nan

    @property
    def gain(self) -> float:
        """What ||g||^2 was multiplied by; NaN where nothing is known of it."""
        norms = self.grad_norm_sq
        return norms[-1] / norms[0] if norms and norms[0] > 0 else nan

    def to_dict(self) -> dict[str, Any]:
        """Everything in lists, dictionaries, texts and numbers, as JSON has them."""
        facts = {**asdict(self), "gain": self.gain}
        return {
            key: value._asdict() if isinstance(value, Interval) else value
            for key, value in facts.items()
        }
