"""A finished comparison: what was compared, the verdicts and the exit code. All exports read it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.comparison.judgement import Judgement, exit_code, headline, worst_first


@dataclass(frozen=True)
class Outcome:
    """A comparison of two commits, directories or files as every export shows it."""

    base: str
    head: str
    judgements: Sequence[Judgement]  # the worst first
    strict: bool  # whether cells that cannot be told apart count
    environment: str  # keys of the machine and of the measuring code; empty if not known
    benchmark: str
    command: str  # what repeats it
    when: float  # seconds since 1970, UTC

    def __post_init__(self) -> None:
        """Bring the judgements into their order."""
        object.__setattr__(self, "judgements", tuple(worst_first(self.judgements)))

    @property
    def exit_code(self) -> int:
        """The contract's exit code."""
        return exit_code((j.verdict for j in self.judgements), strict=self.strict)

    @property
    def headline(self) -> str:
        """One sentence over all cells."""
        return headline(self.judgements)

    @property
    def sentence(self) -> str:
        """What the exit code means here."""
        return f"{_MEANINGS[self.exit_code]} (exit {self.exit_code})"


_MEANINGS = {
    0: "No regression found",
    1: "Regression",
    3: "Not comparable",
    4: "Incomplete: cells are broken or missing",
    5: "Ambiguous: some cells cannot be told",
}
