"""The letters that a sweep varies, and the levels a user writes for them.

An axis is written ``NAME=LEVELS``, where LEVELS is one of

- a list: ``d=64,128,256``;
- powers: ``d=64:4096:x2`` is 64, 128, ... 4096;
- an arithmetic range: ``t=1:9:+2`` is 1, 3, 5, 7, 9.

The stop of a range is a level when the range hits it. Levels are whole numbers >= 1, kept in
ascending order: the order in which they run is the plan's, not the user's.
"""

import re
from dataclasses import dataclass

from bench.errors import SpecError
from bench.spec.checks import LARGEST, distinct, items, shown, whole

AXES = ("t", "d", "n", "l", "b")
MEANINGS = {
    "t": "teleport steps per batch",
    "d": "hidden width",
    "n": "batch size",
    "l": "weight layers",
    "b": "teleport batches",
}
MOST_LEVELS = 1000

_EXAMPLES = {
    "t": "t=1:9:+2",
    "d": "d=64:4096:x2",
    "n": "n=16,32,64",
    "l": "l=2:10:+2",
    "b": "b=1:64:x2",
}
# Words that people use for the letters.
_WORDS = {
    "steps": "t",
    "layers": "l",
    "depth": "l",
    "batches": "b",
    **dict.fromkeys(("w", "width", "dim", "hidden"), "d"),
    **dict.fromkeys(("batch_size", "samples"), "n"),
}
_DIGITS = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class Axis:
    """One letter and its levels, ascending and distinct.

    Raises:
        SpecError: an unknown letter; no level, or more than 1000; a level given twice or outside
            1 ... 2**31 - 1.
    """

    name: str
    values: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what cannot be swept; put the levels in order."""
        if self.name not in AXES:
            raise _unknown_axis(self.name)
        levels = items(f"axis {self.name}", self.values)
        if not 1 <= len(levels) <= MOST_LEVELS:
            raise _too_many(self.name, len(levels))
        numbers = [whole(f"a level of axis {self.name}", level) for level in levels]
        distinct(f"axis {self.name}", numbers)
        object.__setattr__(self, "values", tuple(sorted(numbers)))

    def __str__(self) -> str:
        """The axis as a list that ``parse_axis`` reads back."""
        return f"{self.name}={','.join(map(str, self.values))}"


def parse_axis(text: str) -> Axis:
    """Read ``d=64,128,256``, ``d=64:4096:x2`` or ``t=1:9:+2``.

    Raises:
        SpecError: anything else; the text says what to write instead.
    """
    name, equals, levels = text.partition("=")
    name = name.strip()
    if name not in AXES and (equals or name):
        raise _unknown_axis(name)
    if not levels.strip():
        example = _EXAMPLES.get(name, "d=64,128,256")
        raise SpecError(
            f"expected an axis written as NAME=LEVELS; got {shown(text)}: "
            f"write for example {example}"
        )
    if ":" in levels:
        return Axis(name, _range(name, levels))
    return Axis(name, tuple(_whole(name, part) for part in levels.split(",")))


def _range(name: str, text: str) -> tuple[int, ...]:
    """The levels of START:STOP:xFACTOR or START:STOP:+STEP."""
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 3 or parts[2][:1] not in ("x", "+") or "," in text:
        raise SpecError(
            f"expected a range of axis {name} written as START:STOP:xFACTOR or START:STOP:+STEP; "
            f"got {shown(text.strip())}: write for example {name}=1:16:x2 or {name}=1:9:+2"
        )
    start, stop = _whole(name, parts[0]), _whole(name, parts[1])
    step = _whole(name, parts[2][1:], at_least=0)
    if stop < start:
        raise SpecError(
            f"expected a range of axis {name} to rise; got {shown(text.strip())}: "
            f"write {name}={stop}:{start}:{parts[2]}, the order of a run is random anyway"
        )
    if parts[2][0] == "x":
        return _powers(name, start, stop, step)
    if step < 1:
        raise SpecError(f"expected a step of axis {name} >= 1; got +{step}: write +1 or more")
    if (stop - start) // step >= MOST_LEVELS:
        raise _too_many(name, (stop - start) // step + 1)
    return tuple(range(start, stop + 1, step))


def _powers(name: str, start: int, stop: int, factor: int) -> tuple[int, ...]:
    if factor < 2:
        raise SpecError(f"expected a factor of axis {name} >= 2; got x{factor}: write x2 or more")
    levels = []
    level = start
    while level <= stop:
        levels.append(level)
        level *= factor
    return tuple(levels)


def _whole(name: str, text: str, at_least: int = 1) -> int:
    """A whole number in plain digits: no sign, point, exponent or underscore."""
    stripped = text.strip()
    digits = stripped.lstrip("0") or stripped[:1]
    fits = _DIGITS.fullmatch(stripped) and len(digits) <= len(str(LARGEST))
    if not fits or not at_least <= int(digits) <= LARGEST:
        raise SpecError(
            f"expected whole numbers from {at_least} to {LARGEST} for axis {name} "
            f"({MEANINGS[name]}); got {shown(stripped)}: write for example {_EXAMPLES[name]}"
        )
    return int(digits)


def _too_many(name: str, count: int) -> SpecError:
    return SpecError(
        f"expected from 1 to {MOST_LEVELS} levels of axis {name}; got {count}: "
        f"write fewer, for example {_EXAMPLES[name]}"
    )


def _unknown_axis(name: object) -> SpecError:
    letters = ", ".join(f"{letter} ({MEANINGS[letter]})" for letter in AXES)
    lower = name.lower() if isinstance(name, str) else ""
    near = lower if lower in AXES else _WORDS.get(lower)
    hint = f"; did you mean {near}?" if near else ""
    if lower == "tau":
        hint = "; tau is an axis of 'run' alone: write for example --method nullspace:tau=.99"
    return SpecError(f"expected an axis to be one of {letters}; got {shown(name)}{hint}")
