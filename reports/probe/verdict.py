"""GO, NO-GO or UNDECIDED for an optimizer, in one sentence."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.statistics.medians import LEVEL
from bench.storage.probe_records import PLAIN, ProbeRecord
from reports.probe.comparison import MINIMUM, Comparison, comparisons
from reports.run.setting import Setting, setting_of
from reports.text.formatting import interval, number

GO, NO_GO, UNDECIDED = "GO", "NO-GO", "UNDECIDED"

# Seeds below which there is no interval at 95 %.
_FEWEST = 6
_PERCENT = f"{100 * (MINIMUM - 1):.0f} %"


class Verdict(NamedTuple):
    """Of one optimizer over all starts and arms."""

    setting: Setting
    optimizer: str
    verdict: str
    sentence: str


def verdicts(records: Sequence[ProbeRecord]) -> list[Verdict]:
    """One for each optimizer, in the order of the records."""
    found = [each for each in comparisons(records) if each.last]
    families = dict.fromkeys((setting_of(r), r.optimizer) for r in records)
    made = []
    for setting, optimizer in families:
        own = [r for r in records if (setting_of(r), r.optimizer) == (setting, optimizer)]
        arms = [c for c in found if (c.place.setting, c.place.optimizer) == (setting, optimizer)]
        word, sentence = _verdict(arms, own)
        made.append(Verdict(setting, optimizer, word, f"{word} for {optimizer}: {sentence}."))
    return made


def _verdict(arms: Sequence[Comparison], records: Sequence[ProbeRecord]) -> tuple[str, str]:
    if not arms:
        return _nothing_compared(records)
    known = [arm for arm in arms if not math.isnan(arm.ratio.high)]
    better = [arm for arm in known if arm.p_above <= 1 - LEVEL]
    if better:
        top = max(better, key=lambda arm: arm.ratio.value)
        return GO, f"{_said(top)}; its moves take as long as {number(top.cost_steps)} steps"
    top = max(arms, key=lambda arm: arm.ratio.value)
    if len(known) == len(arms) and all(arm.p_below <= 1 - LEVEL for arm in known):
        return NO_GO, f"no arm gets {_PERCENT} farther than plain training; {_said(top)}"
    needed = max(_FEWEST, math.ceil(math.log2(len(arms) / (1 - LEVEL))))
    seeds = max(arm.seeds for arm in arms)
    plural = "" if len(arms) == 1 else "s"
    more = (
        f", and {needed} is the fewest that can tell {len(arms)} arm{plural}"
        if seeds < needed
        else ""
    )
    return UNDECIDED, f"{seeds} {'seed' if seeds == 1 else 'seeds'} do not tell{more}; {_said(top)}"


def _said(arm: Comparison) -> str:
    ratio = interval(arm.ratio.value, arm.ratio.low, arm.ratio.high)
    return (
        f"{arm.variant} {start_of(arm.place.epochs)} lowers the loss in {arm.horizon} steps "
        f"{ratio} times as far as plain training, each at its best learning rate"
    )


def start_of(epochs: int) -> str:
    """Where an arm begins, in words."""
    if epochs == 0:
        return "from the initial weights"
    return f"after {epochs} epoch{'' if epochs == 1 else 's'}"


def _nothing_compared(records: Sequence[ProbeRecord]) -> tuple[str, str]:
    refused = [r for r in records if r.variant != PLAIN and r.status != "ok"]
    if refused and all(record.status == "skipped" for record in refused):
        return NO_GO, f"no variant can teleport this model: {refused[0].reason}"
    return UNDECIDED, "no arm has been carried through beside plain training"
