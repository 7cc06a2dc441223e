"""A tile of the first screen: a question and its answer, with an interval and a verdict."""

from typing import NamedTuple

GOOD, PLAIN, CARE = "good", "plain", "care"
OPEN = "OPEN"

COST = "What does a call cost?"
PAYS = "Does it pay?"
LOSS = "Did the loss move?"
HEALTH = "Can this run be trusted?"


class Tile(NamedTuple):
    """One answer.

    Attributes:
        question: one of those above.
        value: the number that answers it.
        interval: where it lies, and of what kind the interval is; empty where none is known.
        verdict: a word or three, by a rule that ``words`` or the section on reading gives.
        tone: ``GOOD``, ``PLAIN`` or ``CARE``, for the colour beside the words.
        words: the answer for whoever reads on.
    """

    question: str
    value: str
    interval: str
    verdict: str
    tone: str
    words: str


def absent(question: str, words: str) -> Tile:
    """A question that a run does not answer, and what would."""
    return Tile(question, "not measured", "", OPEN, PLAIN, words)
