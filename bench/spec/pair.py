"""A network on a data set, of several whose preservation is measured."""

from dataclasses import dataclass, fields

from bench.errors import SpecError
from bench.spec import checks


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A network on a data set, as in a spec, with its sizes."""

    model: str
    dataset: str
    d: int
    n: int
    l: int  # noqa: E741  (the letter of the papers)

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        for name in ("model", "dataset"):
            checks.text(f"{name} of a pair", getattr(self, name))
        for letter in ("d", "n", "l"):
            checks.whole(f"{letter} of a pair", getattr(self, letter))

    def __str__(self) -> str:
        """``cnn on cifar-10, d=16, n=64, l=4``."""
        return f"{self.model} on {self.dataset}, d={self.d}, n={self.n}, l={self.l}"


def check_pairs(pairs: object) -> tuple[Pair, ...]:
    """Pairs as a tuple, each once; tables are read as pairs."""
    found = tuple(_pair(entry) for entry in checks.items("preservation.pairs", pairs))
    checks.distinct("preservation.pairs", found)
    return found


def _pair(entry: object) -> Pair:
    if isinstance(entry, Pair):
        return entry
    names = [f.name for f in fields(Pair)]
    if not isinstance(entry, dict) or set(entry) != set(names):
        raise SpecError(
            f"expected a pair to be a table of {', '.join(names)}; got {checks.shown(entry)}: "
            'write for example {model = "cnn", dataset = "cifar-10", d = 16, n = 64, l = 4}'
        )
    return Pair(**entry)
