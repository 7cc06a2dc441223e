"""When a training run teleports: before some epochs, or before every so many of its steps."""

import re
from typing import NamedTuple

from bench.errors import SpecError
from bench.spec.checks import shown

_EPOCHS = re.compile(r"([0-9]{1,9}):([0-9]{1,9})")
_STEPS = re.compile(r"([0-9]{1,9}):([0-9]{1,9}):([1-9][0-9]{0,8})steps")


class Moments(NamedTuple):
    """Epochs and steps, counted from 0, before which there are teleports; one of them is empty."""

    epochs: range
    steps: range

    def __str__(self) -> str:
        """As a sentence has it."""
        if self.epochs:
            return f"before epochs {self.epochs.start} to {self.epochs.stop - 1}"
        return f"before steps {', '.join(map(str, self.steps[:3]))}{' ...' * (len(self.steps) > 3)}"


def parse_moments(text: str) -> Moments:
    """Read ``FIRST:END``, epochs from FIRST up to END, or ``FIRST:END:EVERYsteps``.

    Raises:
        SpecError: anything else, or no moment at all.
    """
    epochs, steps = _EPOCHS.fullmatch(text.strip()), _STEPS.fullmatch(text.strip())
    found = Moments(
        range(*map(int, epochs.groups())) if epochs else range(0),
        range(*map(int, steps.groups())) if steps else range(0),
    )
    if not (found.epochs or found.steps):
        raise SpecError(
            f"expected a schedule FIRST:END of epochs, as 0:5, or FIRST:END:EVERYsteps, as "
            f"0:2000:500steps, with at least one moment in it; got {shown(text)}"
        )
    return found


def check_within(moments: Moments, epochs: int, steps_each: int | None = None) -> None:
    """Refuse a schedule that goes on when training is over; SpecError."""
    last = moments.epochs[-1] + 1 if moments.epochs else 0
    if last > epochs:
        raise SpecError(
            f"expected a schedule within {epochs} epochs; got teleports before epoch "
            f"{last - 1}, counted from 0: shorten the schedule or add epochs"
        )
    if steps_each is not None and moments.steps and moments.steps[-1] >= epochs * steps_each:
        raise SpecError(
            f"expected a schedule within {epochs * steps_each} steps ({epochs} epochs of "
            f"{steps_each}); got teleports before step {moments.steps[-1]}: shorten it, or add "
            "epochs"
        )
