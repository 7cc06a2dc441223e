"""The sections of the page on training experiments; a run without one has none of them."""

from typing import Any

import pandas as pd
from markupsafe import Markup

from reports.sections.section import TEMPLATES, Fill, Section, Shown
from reports.tables.analysis import Analysis
from reports.tables.columns import frame
from reports.text.canvas import Style, legend
from reports.text.html_tables import Table
from reports.training.acceleration import AccelerationRow
from reports.training.controls import aa_difference
from reports.training.experiment import RULE_WORDS, is_control
from reports.training.figures import bars, curves, forest, moves, rates
from reports.training.gains import PARTS, gains
from reports.training.judged import Judged
from reports.training.moves import move_table, share_table
from reports.training.rates import rate_table
from reports.training.rows import TeleportRow, TrainingRow, teleport_rows, training_rows
from reports.training.targets import TuningRow
from reports.training.trials import lost_table
from reports.training.verdicts import (
    Compared,
    aa_sentence,
    compared,
    lead,
    progress_notes,
    share_of_budget,
    verdict_table,
)


class Pays(Section):
    """The verdicts, and what they rest on."""

    name, title, order = "pays", "Does it pay?", 2

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``training.csv``, ``teleports.csv`` and ``acceleration.csv``."""
        training = found.training
        if training is None:
            return {}
        experiment = training.experiment
        return {
            "training": frame(training_rows(experiment), TrainingRow),
            "teleports": frame(teleport_rows(experiment), TeleportRow),
            "acceleration": frame(training.comparisons, AccelerationRow),
        }

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """Sentences, the table of verdicts, and the forest plot."""
        training = shown.analysis.training
        if training is None:
            return None
        experiment = training.experiment
        every = compared(training.comparisons)
        found = aa_difference(experiment)
        settings = experiment.settings
        return fill(
            TEMPLATES / "pays.html.j2",
            lead=lead(every, experiment.rules),
            notes=progress_notes(experiment),
            aa=aa_sentence(found, experiment),
            apart=found is not None and found.value != 0,
            verdicts=[_tables(every, controls) for controls in (False, True)],
            effect=_percent(settings.minimum_effect) if settings else "",
            share=share_of_budget(experiment),
            settings=settings,
            forest=_forest(shown, training),
        )


class Curves(Section):
    """Loss against epochs, seconds and gradient-equivalents."""

    name, title, order = "curves", "Curves", 4

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """Three views for each rule of the learning rate."""
        training = shown.analysis.training
        if training is None:
            return None
        experiment, drawn_as = training.experiment, _styles(shown, training)
        views = {rule: curves.views(experiment, rule, drawn_as) for rule in experiment.rules}
        drawn = [
            (rule, RULE_WORDS[rule], own)
            for rule, own in views.items()
            if any(view.panels for view in own)
        ]
        return fill(TEMPLATES / "curves.html.j2", groups=drawn, legend=legend(drawn_as))


class Rates(Section):
    """What learning rates were tried, and what they came to."""

    name, title, order = "rates", "Learning rates", 5

    def tables(self, found: Analysis) -> dict[str, pd.DataFrame]:
        """``tuning.csv``."""
        training = found.training
        return {"tuning": frame(training.rates, TuningRow)} if training else {}

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """A panel per optimizer, and the rates that were chosen."""
        training = shown.analysis.training
        if training is None:
            return None
        tuned = {row.arm for row in training.rates if row.lr_rule == "tuned"}
        chosen = {arm: style for arm, style in _styles(shown, training).items() if arm in tuned}
        return fill(
            TEMPLATES / "rates.html.j2",
            panels=rates.rate_panels(training.rates, _styles(shown, training)),
            legend=legend(chosen),
            table=rate_table(training.experiment),
        )


class Sources(Section):
    """Where a gain comes from, and what happens around each teleport."""

    name, title, order = "sources", "Where a gain comes from", 6

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """Bars, panels and a table."""
        training = shown.analysis.training
        if training is None:
            return None
        experiment = training.experiment
        moving = {c.facts.arm for c in experiment.courses if c.teleports}
        panels = [
            (RULE_WORDS[rule], moves.move_panels(experiment, rule, _styles(shown, training)))
            for rule in experiment.rules
        ]
        return fill(
            TEMPLATES / "sources.html.j2",
            groups=bars.bar_groups(gains(experiment)),
            parts=[(name, bars.COLOURS[name]) for name in PARTS],
            size=(bars.WIDTH, bars.HEIGHT),
            horizon=_of_settings(training, "horizon"),
            panels=[group for group in panels if group[1]],
            legend=legend({a: s for a, s in _styles(shown, training).items() if a in moving}),
            table=move_table(experiment),
            shares=share_table(experiment),
        )


class Trials(Section):
    """Trials that diverged or failed."""

    name, title, order = "trials", "Lost trials", 7

    def render(self, shown: Shown, fill: Fill) -> Markup | None:
        """One table."""
        training = shown.analysis.training
        if training is None:
            return None
        return fill(TEMPLATES / "trials.html.j2", table=lost_table(training.experiment))


def _tables(every: list[Compared], controls: bool) -> tuple[str, Table, Table]:
    """What is compared, the comparisons that are decided, and those that are not."""
    own = [each for each in every if is_control(each.arm) == controls]
    decided, open_ = ([e for e in own if e.decided == known] for known in (True, False))
    name = "controls" if controls else "teleports"
    return name, verdict_table(decided, name), verdict_table(open_, name)


def _styles(shown: Shown, training: Judged) -> dict[str, Style]:
    """How each arm is drawn, in every figure."""
    return {arm: shown.styles[arm] for arm in training.experiment.arms}


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _of_settings(training: Judged, name: str) -> Any:
    settings = training.experiment.settings
    return getattr(settings, name) if settings else None


def _forest(shown: Shown, training: Judged) -> forest.Forest | None:
    every = compared(training.comparisons)
    colours = {arm: style.colour for arm, style in _styles(shown, training).items()}
    effect = _of_settings(training, "minimum_effect") or 0.0
    order = training.experiment.optimizers
    ours = sorted(every, key=lambda e: (order.index(e.optimizer), is_control(e.arm)))
    return forest.forest(ours, training.experiment.rules, colours, effect)
