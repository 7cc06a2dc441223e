"""The answers of a run that timed methods: what a call costs, its share, what the loss did."""

import math
from collections.abc import Sequence

from bench.storage.records import PreservationRecord
from reports.claims.verdict import LARGE, LITTLE, NEGLIGIBLE, ROUNDING
from reports.front.costs import CostsAt, cheapest
from reports.front.tile import CARE, COST, GOOD, LOSS, PAYS, PLAIN, Tile, absent
from reports.preservation.curves import curve_order, gain, largest
from reports.run.run import NULLSPACE
from reports.tables.schedule import Cost, CostTable
from reports.text.formatting import in_words, interval, listed, number, percent, seconds, small


def cost_tile(found: CostsAt | None) -> Tile:
    """A call of the lead in SGD steps."""
    if found is None:
        return absent(COST, "No call was timed beside an SGD step in this run.")
    lead, verdict = found.lead, cheapest(found)
    what = "a call with all its checks" if lead.whole else "prepare and steps of one batch"
    words = f"{lead.variant}, {what}: {seconds(lead.seconds)} for {in_words(found.point, 'tdnl')}."
    bounds = interval(lead.steps, lead.low, lead.high).partition(" [")
    tone = PLAIN if verdict.startswith("NOT") else GOOD
    between = f"95 % within {bounds[1].strip()}{bounds[2]}" if bounds[2] else ""
    return Tile(COST, f"{number(lead.steps)} SGD steps", between, verdict, tone, words)


def share_tile(tables: Sequence[CostTable]) -> Tile:
    """What the paper's schedule takes of a training."""
    costs = [(table, cost) for table in tables for cost in table.costs]
    if not costs:
        return absent(PAYS, "Training was not part of this run: teleport-bench train asks.")
    table, cost = next((pair for pair in costs if pair[1].variant == NULLSPACE), costs[0])
    plan = table.schedule
    words = (
        f"of the SGD time is what {cost.variant} adds to {plan.epochs} epochs by the paper\u2019s "
        f"schedule, {plan.teleports} teleports: it pays where it saves more. What it saves was not "
        "measured here; teleport-bench train measures it."
    )
    return Tile(PAYS, f"costs {percent(cost.share.value)}", _between(cost), *_share(cost), words)


def _between(cost: Cost) -> str:
    low, high = cost.share.low, cost.share.high
    known = math.isfinite(low) and math.isfinite(high)
    return f"95 % within [{number(100 * low)}, {number(100 * high)}]" if known else ""


def _share(cost: Cost) -> tuple[str, str]:
    low, high = (
        bound if math.isfinite(bound) else cost.share.value
        for bound in (cost.share.low, cost.share.high)
    )
    if high < NEGLIGIBLE:
        return "NEGLIGIBLE COST", GOOD
    if low > LARGE:
        return "LARGE COST", CARE
    return "NOTICEABLE COST", PLAIN


def loss_tile(records: Sequence[PreservationRecord]) -> Tile:
    """The largest change of the loss in the exact null space, beside that of the worst method."""
    good = [r for r in records if r.status == "ok" and len(r.rows) > 1 and r.tau in (None, 1.0)]
    if not good:
        return absent(LOSS, "Loss and gradient along the steps were not followed in this run.")
    good.sort(key=curve_order)
    lead = next((r.variant for r in good if r.variant == NULLSPACE), good[0].variant)
    moved = _moved([record for record in good if record.variant == lead])
    steps = max(len(r.rows) - 1 for r in good if r.variant == lead)
    grown = [number(gain(r)) for r in good if r.variant == lead and math.isfinite(gain(r))]
    growth = f" while the squared gradient norm grew {listed(grown[:2])}-fold" if grown else ""
    verdict, tone = judged(moved)
    between = f"within [0, {small(moved)}] of its value over {steps} steps"
    if moved == 0:
        between = f"the very same value over {steps} steps"
    words = f"{lead}, on the teleport\u2019s own batch{growth}.{_others(good, lead)}"
    return Tile(LOSS, moved_by(moved), between, verdict, tone, words)


def moved_by(moved: float) -> str:
    """A relative change as an answer."""
    return "not at all" if moved == 0 else f"by {small(moved)}"


def judged(moved: float) -> tuple[str, str]:
    """The verdict on a relative change of the loss."""
    if not math.isfinite(moved):
        return "UNKNOWN", CARE
    if moved <= ROUNDING:
        return "KEPT", GOOD
    return ("MOVED A LITTLE", PLAIN) if moved <= LITTLE else ("MOVED", CARE)


def _moved(records: Sequence[PreservationRecord]) -> float:
    """As the method's own dtype sees it."""
    values = [largest(record, "drift_float32") for record in records]
    return max((v for v in values if math.isfinite(v)), default=math.nan)


def _others(records: Sequence[PreservationRecord], lead: str) -> str:
    """The method that moved it most."""
    moved = {r.variant: _moved([r]) for r in records if r.variant != lead}
    known = {name: value for name, value in moved.items() if math.isfinite(value)}
    if not known:
        return ""
    worst = max(known, key=lambda name: known[name])
    return f" Most of the others: {worst}, by {small(known[worst])} ({judged(known[worst])[0]})."
