"""What ``bench.measure`` answers: numbers per method, and how a notebook shows them."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from reports.measured.figure import cost_and_gain, described
from reports.measured.rows import MethodMeasured
from reports.measured.table import frame, plain, worded
from reports.page import filled
from reports.sections.section import TEMPLATES
from reports.text import canvas


@dataclass(frozen=True, repr=False, kw_only=True)
class Measured:
    """A live model, method by method; a notebook shows table and figure.

    Attributes:
        model: class of the model.
        parameters: how many numbers it has.
        device, dtype: of its parameters.
        steps: teleport steps of each call.
        methods: in the order they were asked for.
        notes: what was done for the time of the measurement.
    """

    model: str
    parameters: int
    device: str
    dtype: str
    steps: int
    methods: tuple[MethodMeasured, ...]
    notes: tuple[str, ...]

    @property
    def table(self) -> pd.DataFrame:
        """A row per method."""
        return frame(self.methods)

    @property
    def figure(self) -> Figure:
        """What a call costs, and what it does to ||g||^2."""
        return cost_and_gain(self.methods)

    @property
    def what(self) -> str:
        """The model in words."""
        return f"{self.model}, {self.parameters:,} parameters, {self.device}, {self.dtype}"

    def to_dict(self) -> dict[str, Any]:
        """Everything in lists, dictionaries, texts and numbers, as JSON has them."""
        return {**asdict(self), "methods": [each.to_dict() for each in self.methods]}

    def __repr__(self) -> str:
        timed = [each for each in self.methods if each.call_sgd_steps.value > 0]
        costs = ", ".join(f"{each.variant} {each.call_sgd_steps.value:.3g}" for each in timed)
        return f"Measured({self.what}; a call in SGD steps: {costs or 'none was timed'})"

    def __str__(self) -> str:
        said = [self.what, *self.notes, plain(worded(self.methods, ""))]
        return "\n".join([*said, *self._left_out])

    @property
    def _left_out(self) -> list[str]:
        return [f"{each.variant}: {each.reason}" for each in self.methods if each.reason]

    def _repr_html_(self) -> str:
        caption = f"{self.what}: {self.steps} steps on one batch"
        return filled(
            TEMPLATES / "measured.html.j2",
            table_of_methods=worded(self.methods, caption),
            drawing=canvas.finish(self.figure, described(self.methods)),
            sentences=[*self.notes, *self._left_out],
        )
