"""The claims and their outcomes, as the files of ``papers`` have them."""

import tomllib
from collections.abc import Iterable
from enum import Enum
from functools import cache
from importlib import resources

from msgspec import Struct, ValidationError, convert

from bench.errors import SpecError


class Outcome(Enum):
    """What a test says of a claim."""

    REPRODUCED = "reproduced"
    REFUTED = "refuted"
    CONDITIONAL = "conditional"  # holds in some settings that were tried, and not in others
    UNDECIDED = "cannot be told"
    NEEDS_GPU = "needs a GPU"


class Finding(Struct, frozen=True, kw_only=True):
    """What a test found.

    Attributes:
        value: the figure that decides; None where there is none.
        low: with ``high`` its 95 % interval, or the range over settings; None for one figure alone.
        text: the figure in a sentence, with its unit.
    """

    outcome: Outcome
    value: float | None = None
    low: float | None = None
    high: float | None = None
    text: str


def together(outcomes: Iterable[Outcome]) -> Outcome:
    """What several settings come to; where they differ the claim holds on conditions."""
    every = set(outcomes)
    return every.pop() if len(every) == 1 else Outcome.CONDITIONAL


class Recorded(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where in a recorded run the figure stands.

    Attributes:
        table: path of a CSV file from the root of the repository.
        where: column -> value of the row.
        column: of the figure; ``low`` and ``high`` those of its interval.
    """

    table: str
    where: dict[str, str]
    column: str
    low: str | None = None
    high: str | None = None


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One claim of one source.

    Attributes:
        id: names it on the command line.
        where: section, figure, equation or file of the source.
        says: the claim, in our words.
        command: what tests it, to be typed as it stands.
        experiment: name in ``bench.experiments`` of a test that takes less than a minute; None
            where only the longer ``command`` tests it.
        recorded: where the figure of such a command is kept.
        again: what else was tried, at least for a claim that is refuted.
    """

    id: str
    where: str
    says: str
    command: str
    finding: Finding
    experiment: str | None = None
    recorded: Recorded | None = None
    again: str = ""


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A paper or a released code with what it claims."""

    title: str
    address: str
    order: int
    claim: tuple[Claim, ...]


@cache
def ledger() -> tuple[Source, ...]:
    """Every source with its claims, in the order of the page.

    Raises:
        SpecError: a file of the ledger that cannot be read, or two claims of one name.
    """
    folder = resources.files("bench.claims") / "papers"
    found = [_read(file.name, file.read_text("utf-8")) for file in folder.iterdir()]
    names = [claim.id for source in found for claim in source.claim]
    if len(names) != len(set(names)):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise SpecError(f"expected claims of different names; {', '.join(twice)} is there twice")
    return tuple(sorted(found, key=lambda source: source.order))


def _read(name: str, text: str) -> Source:
    try:
        return convert(tomllib.loads(text), Source)
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SpecError(f"expected a source with its claims in {name}; {error}") from error


def chosen(names: Iterable[str]) -> list[Claim]:
    """The claims of these names, or of none every one.

    Raises:
        SpecError: a name that no claim has.
    """
    every = {claim.id: claim for source in ledger() for claim in source.claim}
    wanted = list(names)
    unknown = [name for name in wanted if name not in every]
    if unknown:
        raise SpecError(
            f"expected names of claims; got {', '.join(unknown)}: 'teleport-bench claims' has them"
        )
    return [every[name] for name in wanted] if wanted else list(every.values())
