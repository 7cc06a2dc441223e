"""One word on a claim from what several lines of evidence say of it."""

from collections.abc import Iterable

from bench.statistics.growth_verdicts import Answer

# Shares of a training: below the one a user does not notice it, above the other everybody does.
NEGLIGIBLE, LARGE = 0.01, 0.1
# Relative changes of the loss: float32 resolves 1e-7, and sums over a batch a few times that.
ROUNDING, LITTLE = 1e-5, 1e-3

HOLDS, FAILS, IN_PART, OPEN = "HOLDS", "FAILS", "IN PART", "CANNOT BE TOLD"
NOT_MEASURED = "NOT MEASURED"


def overall(answers: Iterable[bool | None]) -> str:
    """HOLDS or FAILS where all that tell agree, IN PART where they do not; None does not tell."""
    found = list(answers)
    told = {answer for answer in found if answer is not None}
    if not found:
        return NOT_MEASURED
    if not told:
        return OPEN
    return IN_PART if len(told) > 1 else HOLDS if told.pop() else FAILS


def answer(finding: str) -> bool | None:
    """What a verdict on growth says: ``near-constant: holds`` is True."""
    if finding.endswith(Answer.HOLDS.value):
        return True
    return False if finding.endswith(Answer.FAILS.value) else None


def within(value: float, holds: float, fails: float) -> bool | None:
    """Whether a number lies up to ``holds``; between the two, or unknown, nobody can tell."""
    if value <= holds:
        return True
    return False if value > fails else None
