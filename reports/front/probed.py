"""The answers of a run that only probed: could a teleport pay."""

import math
from collections.abc import Sequence
from statistics import median

from bench.storage.probe_records import ProbeRecord
from reports.front.tile import CARE, COST, GOOD, LOSS, PAYS, PLAIN, Tile, absent
from reports.front.timed import judged, moved_by
from reports.probe.comparison import comparisons
from reports.probe.verdict import GO, NO_GO, verdicts
from reports.text.formatting import number, small


def tiles(records: Sequence[ProbeRecord]) -> list[Tile]:
    """What the moves took, the verdicts, and what the moves did to the loss."""
    found = [each for each in comparisons(records) if each.last]
    costs = sorted(each.cost_steps for each in found if math.isfinite(each.cost_steps))
    moves = [each.move_change / each.loss_start for each in found if each.loss_start]
    changes = sorted(abs(change) for change in moves if math.isfinite(change))
    return [_cost(costs), _pays(records), _loss(changes)]


def _cost(costs: Sequence[float]) -> Tile:
    if not costs:
        return absent(COST, "No arm has been carried through beside plain training.")
    between = f"{number(costs[0])} to {number(costs[-1])} over {len(costs)} arms"
    words = "is what the teleports of a start take together, each beside steps of its own arm."
    return Tile(COST, f"{number(median(costs))} training steps", between, "TIMED", PLAIN, words)


def _pays(records: Sequence[ProbeRecord]) -> Tile:
    every = verdicts(records)
    names = [each.verdict for each in every]
    go, no_go = names.count(GO), names.count(NO_GO)
    word = GO if go else NO_GO if no_go == len(every) else "UNDECIDED"
    tone = GOOD if go else CARE if word == NO_GO else PLAIN
    value = f"GO for {go} of {len(every)} optimizers"
    return Tile(PAYS, value, "each at its best learning rate", word, tone, every[0].sentence)


def _loss(changes: Sequence[float]) -> Tile:
    if not changes:
        return absent(LOSS, "No arm has been carried through beside plain training.")
    verdict, tone = judged(median(changes))
    between = f"{small(changes[0])} to {small(changes[-1])} over the arms"
    words = "of the mean loss of all batches, of which the teleports keep that of their own."
    return Tile(LOSS, moved_by(median(changes)), between, verdict, tone, words)
