"""Base and head take turns: ABBA rounds over all cells, with looks at the data in between.

In a round every undecided cell has two turns of base and two of head, in the order ABBA or BAAB, so
that a drift of the machine cancels within milliseconds. A turn is a few calls in a row; its sample
is the middle one. After 24, 48, 96 and 192 rounds the cells are looked at, and those whose verdict
is clear are left alone from then on. Four looks are paid for (see ``bench.comparison.judgement``).
"""

import random
from collections.abc import Callable, Iterable, Sequence
from math import ceil

from bench.gate.side_worker import Lane
from bench.process.protocol import Message
from bench.seeds import seed_for

LOOKS = (24, 48, 96, 192)

# Long beside the way to a worker and back, short beside a time slice of the operating system.
_TURN_SECONDS = 0.002
_MOST_CALLS = 50
_TRIAL_CALLS = 5

Samples = dict[str, list[Message]]
Turn = tuple[int, str]


def turns(cells: Iterable[str], seed: int, number: int) -> list[Turn]:
    """Who is asked for what in round ``number``: pairs (0 for base or 1 for head, cell)."""
    order = random.Random(seed_for(seed, "turns", number))
    ids = sorted(cells)
    found: list[Turn] = []
    for cell in order.sample(ids, len(ids)):
        first = order.randrange(2)
        found += [(side, cell) for side in (first, 1 - first, 1 - first, first)]
    return found


def middle(samples: Sequence[Message]) -> list[Message]:
    """Of the samples of a turn the middle one by wall time, and of every other clock likewise."""
    clocks = dict.fromkeys(sample["clock"] for sample in samples)
    chosen = []
    for clock in clocks:
        of_clock = sorted((s for s in samples if s["clock"] == clock), key=lambda s: s["seconds"])
        chosen.append(of_clock[(len(of_clock) - 1) // 2])
    return chosen


def calls_of_a_turn(trials: Iterable[Message]) -> int:
    """How many calls last ``_TURN_SECONDS``, going by the quickest of the trials."""
    quickest = min((s["seconds"] for s in trials if s["clock"] == "wall"), default=_TURN_SECONDS)
    return ceil(_TURN_SECONDS / max(quickest, _TURN_SECONDS / _MOST_CALLS))


class Duel:
    """Two lanes that measure the same cells; ``samples`` of each carry their round's number."""

    def __init__(self, lanes: tuple[Lane, Lane], seed: int) -> None:
        self._lanes = lanes
        self._seed = seed
        self._calls: dict[str, int] = {}
        self.samples: tuple[Samples, Samples] = ({}, {})

    def run(
        self, cells: Sequence[str], looks: Sequence[int], undecided: Callable[[], set[str]]
    ) -> int:
        """Play rounds until nothing is undecided or the last look is over; how many were played.

        Both lanes have the cells open. ``looks`` says after how many rounds to look, and
        ``undecided`` is the look: which cells need more rounds.
        """
        self._prepare(cells)
        left, number = self._alive(cells), 0
        for look in looks:
            while number < look and left:
                self._round(number, left)
                left = self._alive(left)
                number += 1
            if not left:
                break
            unclear = undecided()
            left = [cell for cell in left if cell in unclear]
        return number

    def _prepare(self, cells: Sequence[str]) -> None:
        """Warm up, and choose how many calls make a turn; both sides make the same number."""
        for side in self.samples:
            side.update({cell: [] for cell in cells})
        for cell in cells:
            trials = [
                [] if cell in lane.failures else lane.turn(cell, _TRIAL_CALLS)
                for lane in self._lanes
            ]
            self._calls[cell] = calls_of_a_turn([*trials[0], *trials[1]])
            if any(cell in lane.failures for lane in self._lanes):
                # No round will come; the trial tells whether the other side can do it.
                for side, trial in zip(self.samples, trials, strict=True):
                    side[cell] = [{"round": 0, **sample} for sample in middle(trial)]

    def _round(self, number: int, cells: Sequence[str]) -> None:
        for side, cell in turns(cells, self._seed, number):
            lane = self._lanes[side]
            if cell not in lane.failures:
                found = middle(lane.turn(cell, self._calls[cell]))
                self.samples[side][cell] += [{"round": number, **sample} for sample in found]

    def _alive(self, cells: Iterable[str]) -> list[str]:
        return [c for c in cells if not any(c in lane.failures for lane in self._lanes)]
