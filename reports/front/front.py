"""What the first screen shows of a run: facts, four tiles and a figure."""

import math
from typing import NamedTuple

from reports.front import health, probed, profiled, timed, trained
from reports.front.costs import CostsAt, costs_at
from reports.front.dots import Dot, Dots, dots
from reports.front.facts import facts
from reports.front.tile import OPEN, Tile
from reports.probe.probe import probed as probe_records
from reports.sections.section import Shown
from reports.text.formatting import in_words
from reports.training.experiment import RULE_WORDS
from reports.training.judged import Judged


class Front(NamedTuple):
    """The first screen."""

    facts: list[tuple[str, str]]
    tiles: list[Tile]
    figure: Dots | None


def front(shown: Shown) -> Front:
    """Of a run that timed its cells, of one that trained, of one that probed, or of several."""
    found, run = shown.analysis, shown.run
    training = found.training
    experiment = training.experiment if training else None
    costs = costs_at(found.cells, found.base, list(shown.styles))
    records = probe_records(run)
    if training is not None:
        own = [trained.cost_tile(training.experiment), trained.pays_tile(training)]
        own += [trained.loss_tile(training.experiment)]
    elif records and costs is None:
        own = probed.tiles(records)
    else:
        own = [timed.cost_tile(costs), timed.share_tile(found.costs[0])]
        own += [timed.loss_tile(run.preservation)]
    last = health.health_tile(shown.whole.cells, run, experiment, run.notes)
    if costs is None and training is None and not records:
        own[0] = profiled.cost_tile(run.profiles)
    if shown.nothing_timed:
        own = [tile for tile in own if tile.verdict != OPEN]
    if training is not None and found.cells:  # timed too: what was timed beside SGD says more
        own[0] = timed.cost_tile(costs)
    figure = _of_training(training, shown) if training else _of_costs(costs, shown)
    return Front(facts(run), [*own, last], figure)


def _of_costs(found: CostsAt | None, shown: Shown) -> Dots | None:
    if found is None:
        return None
    chosen = [Dot(c.variant, c.steps, c.low, c.high, "") for c in found.costs]
    what = "A whole call with its checks"
    if not all(cost.whole for cost in found.costs):
        what = "Prepare and steps of one batch, where no whole call was timed; else a whole call"
    note = f"{what}. {in_words(found.point, 'tdnl').capitalize()}; {found.setting.heading}."
    unit = "SGD steps, logarithmic"
    title = "What a call costs"
    return dots(title, "one SGD step", unit, note, chosen, shown.styles)


def _of_training(training: Judged, shown: Shown) -> Dots | None:
    every, rule = trained.judged_comparisons(training)
    named = trained.dots_of(every)
    styles = {dot.name: shown.styles[arm] for arm, dot in named if arm in shown.styles}
    note = (
        f"{RULE_WORDS[rule].capitalize()}, by all the work that is done, teleports included; left "
        "of the line the target is reached with less."
        if rule
        else ""
    )
    beyond = [dot.name for _, dot in named if not 0 < dot.value < math.inf]
    note += f" Not drawn, without a finite ratio: {'; '.join(beyond)}." if beyond else ""
    title, unit = "Work to the target", "times plain training\u2019s work, logarithmic"
    return dots(title, "plain training", unit, note, [dot for _, dot in named], styles)
