"""What a call costs in a run that did nothing but profile."""

from collections.abc import Sequence

from bench.storage.records import ProfileRecord
from reports.front.tile import COST, PLAIN, Tile, absent
from reports.profile.tables import is_whole, phase_rows
from reports.run.run import NULLSPACE, SGD, as_float
from reports.text.formatting import number, percent, seconds


def cost_tile(records: Sequence[ProfileRecord]) -> Tile:
    """Prepare and steps of the lead over an SGD step, one call of each under the stopwatch."""
    good = [record for record in records if is_whole(record)]
    lead = next((r for r in good if r.variant == NULLSPACE), None)
    lead = lead or next((r for r in good if r.method != SGD), None)
    steps = [as_float(r.seconds) / (r.t or 1) for r in good if r.method == SGD]
    if lead is None or not steps:
        return absent(COST, "No method was profiled beside SGD in this run.")
    longest = phase_rows(lead)[0]
    words = (
        f"{lead.variant}, prepare and steps of one batch: {seconds(as_float(lead.seconds))}; most "
        f"of it, {percent(longest.share)}, is {longest.phase}."
    )
    value = f"{number(as_float(lead.seconds) / steps[0])} SGD steps"
    return Tile(COST, value, "one call of median length", "PROFILED", PLAIN, words)
