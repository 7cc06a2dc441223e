"""The learning rates at which arms are judged, and those that lie at the end of their grid."""

from reports.text import html_tables as html
from reports.text.html_tables import Cell, Table
from reports.training.experiment import Experiment
from reports.training.targets import source, target, tuned_rate

_EDGE = "at the end of the grid: a better one may lie beyond"


def rate_table(experiment: Experiment) -> Table:
    """A row per optimizer and arm with a rate of its own."""
    rows = [
        _cells(experiment, optimizer, arm)
        for optimizer in experiment.optimizers
        for arm in experiment.arms_of(optimizer)
        if source(arm) == arm
    ]
    columns = html.columns(["optimizer", "arm", "tuned to", "remark"], ["target at that rate"])
    shown = rows if "tuned" in experiment.rules else []
    return Table("The rates that were chosen", columns, shown).without_empty()


def _cells(experiment: Experiment, optimizer: str, arm: str) -> list[Cell]:
    chosen = tuned_rate(experiment, optimizer, arm)
    if isinstance(chosen, str):
        return [*html.texts(optimizer, arm, "", chosen), html.UNKNOWN]
    remark = _EDGE if chosen.at_edge else ""
    reached = target(experiment, optimizer, arm, "tuned")
    return [*html.texts(optimizer, arm, f"{chosen.lr:g}", remark), html.numbers(reached.loss)]
