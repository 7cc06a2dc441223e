"""Does an arm arrive earlier than plain training: the verdict on one arm.

The *minimum effect* says from where on a difference matters (0.05: five percent). The interval of
the paired ratio of times (95 %, by order statistics) says how large the difference is, and the sign
test, corrected by Holm over all arms, whether there is one:

    FASTER     the interval lies below 1 / (1 + minimum effect), and the test is significant
    SLOWER     the interval lies above 1 + minimum effect, and the test is significant
    SAME       the interval lies between the two
    UNDECIDED  anything else: too few seeds, too much noise, or runs that never arrive

No verdict goes against the hit rates: an arm that arrives less often than plain is not FASTER or
SAME, however fast the runs are that do arrive; one that arrives more often is not SLOWER or SAME.

Why these numbers. The sign test asks nothing of the noise but that it is as likely to favour one
side as the other. Its p-value has to be 0.01 or below, so false alarms are 1 % at most for any
noise; the minimum effect makes them rarer still where noise is small. At 10 seeds that takes all
ten to agree (the p-value is 2 / 1024 then; at nine it is 22 / 1024), so that up to five arms can
be tested, and nine of the ten to lie beyond the minimum effect. A gain of 10 % is found that way in
more than 95 % of experiments while paired ratios scatter by 2 % or less. Three seeds have no
interval.
"""

import math
from enum import Enum
from typing import NamedTuple

from bench.statistics.medians import Estimate
from bench.statistics.rank_tests import least_pairs

MIN_EFFECT = 0.05
FALSE_ALARMS = 0.01  # two-sided, over all arms


class Verdict(Enum):
    """What became of an arm; the value is the sentence a reader needs."""

    FASTER = "arrives earlier by more than the minimum effect"
    SAME = "no difference that matters"
    SLOWER = "arrives later by more than the minimum effect"
    UNDECIDED = "cannot be told from these runs"


class Evidence(NamedTuple):
    """What a verdict on one arm rests on."""

    ratio: Estimate  # of times, the arm's over plain's
    p_value: float  # corrected over all arms
    arms: int  # that were tested together
    hits: int  # seeds whose run of the arm arrives
    hits_against: int  # seeds whose run of plain does
    unknown: int  # seeds that have no bound on their ratio at all
    missing: tuple[int, ...] = ()  # seeds that only one of the two has run


class Judgement(NamedTuple):
    """A verdict and, where it is UNDECIDED, why."""

    verdict: Verdict
    reason: str = ""


def judge(found: Evidence, min_effect: float = MIN_EFFECT) -> Judgement:
    """The verdict on one arm.

    Raises:
        ValueError: a minimum effect that is not finite or not positive.
    """
    if not (math.isfinite(min_effect) and min_effect > 0):
        raise ValueError(
            f"expected a positive minimum effect; got {min_effect!r}: write 0.05 for 5 %"
        )
    seen = _seen(found, min_effect)
    reason = _objection(found, seen)
    if reason or seen is not Verdict.UNDECIDED:
        return Judgement(Verdict.UNDECIDED if reason else seen, reason)
    return Judgement(seen, _why_undecided(found, min_effect))


def least_seeds(arms: int) -> int:
    """The fewest seeds that can give FASTER or SLOWER when so many arms are tested together."""
    return least_pairs(FALSE_ALARMS / arms)  # 8 for one arm; an interval takes only 6


def _seen(found: Evidence, min_effect: float) -> Verdict:
    """What interval and test say; NaN bounds say nothing."""
    upper = 1 + min_effect
    low, high = found.ratio.low, found.ratio.high
    if 1 / upper <= low and high <= upper:
        return Verdict.SAME
    if found.p_value <= FALSE_ALARMS and high < 1 / upper:
        return Verdict.FASTER
    if found.p_value <= FALSE_ALARMS and low > upper:
        return Verdict.SLOWER
    return Verdict.UNDECIDED


def _objection(found: Evidence, seen: Verdict) -> str:
    """Why no verdict is given whatever the times say; empty if nothing stands against it."""
    if found.missing:
        seeds = ", ".join(map(str, found.missing))
        return f"of seeds {seeds} only one of the two was run: finish the experiment"
    if not found.ratio.count:
        return "no seed was run"
    if not (found.hits or found.hits_against):
        return "no run of either arrives: train longer, or raise the target"
    fewer = found.hits < found.hits_against and seen in {Verdict.FASTER, Verdict.SAME}
    more = found.hits > found.hits_against and seen in {Verdict.SLOWER, Verdict.SAME}
    if fewer or more:
        count = found.ratio.count
        return (
            f"{found.hits} of {count} runs arrive, and {found.hits_against} of {count} of plain: "
            "the times of those that do are not the whole answer"
        )
    return ""


def _why_undecided(found: Evidence, min_effect: float) -> str:
    count, needed = found.ratio.count, least_seeds(found.arms)
    if count < needed:
        arms = "1 arm" if found.arms == 1 else f"{found.arms} arms"
        return f"{count} seeds are too few to test {arms}: take {needed}"
    if found.unknown:
        return f"in {found.unknown} of {count} seeds neither run arrives: train longer"
    if found.p_value <= FALSE_ALARMS:
        return "there is a difference, but it may be smaller than the minimum effect"
    if math.isinf(found.ratio.high) or not found.ratio.low:
        return "too many runs end before they arrive: train longer"
    width = found.ratio.high / found.ratio.low - 1
    if width > 2 * min_effect:
        return f"the interval is {width:.0%} wide: the noise hides the minimum effect"
    return "the interval reaches beyond the minimum effect"
