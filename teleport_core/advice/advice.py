"""The numbers of an advice, and what they come to."""

from dataclasses import asdict, dataclass
from typing import Any

from teleport_core.advice import table, verdict


@dataclass(frozen=True)
class LayerAdvice:
    """Rows of one weight that see the same inputs: all of them, or those of one group.

    Of the tuples by size one holds None where no sample of that size reaches the layer.

    Attributes:
        weight: name of the weight; it has several entries where it has several groups.
        rows: of the matrix [rows, features] that moves.
        features: one for a bias that moves along included.
        data_fed: no input depends on a parameter. The ascent then never leaves the span of the
            inputs: what is free at tau = 1 is of no use, and below only what tau adds is.
        moving: by size, rows that may move: all but those that the model looks up elsewhere, as an
            embedding does.
        free: by size, then by tau, dimensions of the input in which a row may move.
        bound: by size, then by tau, sigma_{k+1} / sigma_1 of the inputs R: a move dW in the free
            space changes the layer's pre-activations by ||dW R||_F <= ||dW||_F sigma_{k+1}.
    """

    weight: str
    rows: int
    features: int
    data_fed: bool
    moving: tuple[int, ...]
    free: tuple[tuple[int, ...] | None, ...]
    bound: tuple[tuple[float, ...] | None, ...]

    def useful(self, size: int, tau: int) -> int:
        """Free dimensions in which a teleport can move a row, at a place in sizes and in taus."""
        free = self.free[size]
        if free is None:
            return 0
        return free[tau] - free[0] if self.data_fed else free[tau]


@dataclass(frozen=True, repr=False)
class Advice:
    """What can move in a model, by batch size and by tau; ``print`` shows a table.

    Attributes:
        model: name of its class.
        sizes: samples of the batches that were looked at, ascending.
        own_size: samples of the loader's first batch, one of ``sizes``.
        taus: 1.0, the exact null space at numerical rank, then shares of energy, descending.
        layers: in order of first use.
        held: parameters that stay -> why, on the loader's first batch.
        notes: what was not looked at, and why.
    """

    model: str
    sizes: tuple[int, ...]
    own_size: int
    taus: tuple[float, ...]
    layers: tuple[LayerAdvice, ...]
    held: dict[str, str]
    notes: tuple[str, ...]

    def share(self, size: int, tau: float = 1.0) -> float:
        """The share of all entries that may move: sum(moving * useful) / sum(rows * features).

        Args:
            size: one of ``sizes``.
            tau: one of ``taus``.
        """
        i, j = self.sizes.index(size), self.taus.index(tau)
        useful = sum(each.moving[i] * each.useful(i, j) for each in self.layers)
        whole = sum(each.rows * each.features for each in self.layers)
        return useful / whole if whole else 0.0

    @property
    def verdict(self) -> str:
        """What to do about it, in a sentence."""
        return verdict.verdict(self)

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain values, ``json.dumps`` takes them; shares by size, then by tau."""
        shares = [[self.share(size, tau) for tau in self.taus] for size in self.sizes]
        return {**asdict(self), "shares": shares, "verdict": self.verdict}

    def __repr__(self) -> str:
        share = f"{100 * self.share(self.own_size):.3g} %"
        return f"Advice({self.model}, {share} of its weights free at {self.own_size} samples)"

    def __str__(self) -> str:
        return table.text(self)
