"""The section on what the paper's schedule of teleports costs beside its training."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from markupsafe import Markup

from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.schedule import CostTable
from reports.text import formatting
from reports.text import html_tables as html
from reports.text.canvas import Style
from reports.text.html_tables import Table


class Costs(NamedTuple):
    """What the schedule costs in one setting, with bars."""

    heading: str
    sentence: str
    table: Table
    bars: list[tuple[str, float, str, str]]
    remarks: list[str]


class Schedule(Section):
    """Time of all teleports as a share of the time of all SGD steps."""

    name, title, order, measured = "schedule", "Schedule", 40, True

    def render(self, shown: Shown, fill: Fill) -> Markup:
        """Bars and a table for each setting."""
        costs, notes = shown.analysis.costs
        return fill(
            TEMPLATES / "schedule.html.j2",
            schedules=[_costs(table, shown.styles) for table in costs],
            cost_notes=notes,
        )


def _costs(table: CostTable, styles: Mapping[str, Style]) -> Costs:
    plan = table.schedule
    largest = max(cost.share.value for cost in table.costs)
    shares = [(cost.variant, cost.share.value) for cost in table.costs]
    bars = [
        (name, round(100 * s / largest, 2), formatting.percent(s), styles[name].colour)
        for name, s in shares
    ]
    sentence = (
        f"{plan.teleport_batches} batches in each of {plan.teleport_epochs} epochs are teleported "
        f"by {plan.t} steps: {formatting.whole(plan.teleports)} teleports. The training takes "
        f"{plan.epochs} epochs over {formatting.whole(plan.samples_per_epoch)} samples in batches "
        f"of {plan.batch_size}: {formatting.whole(plan.sgd_steps)} SGD steps. Times are those at "
        f"{formatting.point(table.point)}."
    )
    return Costs(table.setting.heading, sentence, _table(table), bars, _remarks(table))


def _table(table: CostTable) -> Table:
    """A row per variant: what the schedule takes."""
    numeric = ["prepare, per batch", "teleport step", "whole call"]
    numeric += ["all teleports", "all SGD steps", "share"]
    rows = [
        [
            html.words(cost.variant),
            html.seconds(cost.prepare_s),
            html.seconds(cost.step_s),
            html.seconds(cost.call_s),
            html.seconds(cost.teleport_s),
            html.seconds(cost.training_s),
            html.percent(cost.share.value, cost.share.low, cost.share.high),
        ]
        for cost in table.costs
    ]
    columns = html.columns(["variant"], numeric)
    return Table("Time of the teleports and of the training", columns, rows).without_empty()


def _remarks(table: CostTable) -> list[str]:
    not_run = (
        "No training was run: the schedule is that of the paper, over the training samples that "
        "the data set had in this run."
    )
    return [_priced(table), *_longer(table), not_run]


def _priced(table: CostTable) -> str:
    """What a teleport is taken to cost."""
    without = [cost.variant for cost in table.costs if not math.isfinite(cost.call_s)]
    if not without:
        return "A teleport is a whole call, with the checks around prepare and steps."
    alone = "prepare and steps alone, without the checks of a whole call, which was not timed"
    if len(without) == len(table.costs):
        return f"A teleport is {alone}."
    return f"A teleport is a whole call; with {formatting.listed(without)} it is {alone}."


def _longer(table: CostTable) -> list[str]:
    """Where the teleports of the schedule have other steps than those that were timed."""
    timed, counted = table.point["t"], table.schedule.t
    if timed == counted:
        return []
    change = f"{abs(counted - timed)} {'more' if counted > timed else 'fewer'}"
    return [f"It was timed with {timed} steps and counted with {change}, of a teleport step each."]
