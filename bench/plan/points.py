"""The plan: the points of a spec's sweeps, each a block of cells, in seeded random order.

Sweeps go one letter at a time: each axis's levels, every other letter at its base value. A point
that lies on several axes is run once.
"""

from dataclasses import asdict, dataclass

from bench.seeds import seed_for, stable_hash
from bench.spec.axes import AXES
from bench.spec.spec import Spec, device_kind
from bench.spec.variants import SGD, Variant

# Facts of a spec that change what a cell measures and are not part of its point.
_SHARED_FACTS = ("bias", "seed", "threads")


@dataclass(frozen=True)
class Point:
    """One combination of everything but the method."""

    t: int
    d: int
    n: int
    l: int  # noqa: E741  (the letter of the papers)
    b: int
    model: str
    dataset: str
    device: str
    dtype: str

    def letters(self) -> dict[str, int]:
        """Letter -> value, in the order of ``AXES``."""
        return {letter: getattr(self, letter) for letter in AXES}


@dataclass(frozen=True)
class Cell:
    """A variant at a point; its id depends on neither order nor sampling."""

    cell_id: str
    variant: Variant


@dataclass(frozen=True)
class Block:
    """All cells of a point, ``sgd`` first: they are sampled in turn by one worker process."""

    block_id: str
    point: Point
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Plan:
    """What a spec comes to: blocks in the order in which they run."""

    spec: Spec
    blocks: tuple[Block, ...]

    @property
    def point_count(self) -> int:
        """Number of points, which is that of blocks."""
        return len(self.blocks)

    @property
    def cell_count(self) -> int:
        """Number of cells, those of ``sgd`` included."""
        return sum(len(block.cells) for block in self.blocks)


def make_plan(spec: Spec) -> Plan:
    """Expand a spec; the order of the blocks is a pure function of its seed."""
    blocks = [_block(spec, point) for point in _points(spec)] if spec.variants else []
    # Each block's own hash is its place, so that leaving one out does not shuffle the others.
    blocks.sort(key=lambda block: seed_for(spec.seed, "order", block.block_id))
    return Plan(spec, tuple(blocks))


def preservation_id(spec: Spec, variant: Variant, tau: float, start: str) -> str:
    """Id of one preservation record: a variant at one threshold from one start."""
    place = {name: getattr(spec.preservation, name) for name in ("d", "n", "l", "steps", "growth")}
    place |= {"model": spec.model, "dataset": spec.data, "dtype": spec.dtype}
    place["device"] = device_kind(spec.device)
    return _identity(spec, place, str(variant), float(tau), start)


def _points(spec: Spec) -> list[Point]:
    """Distinct points, axis by axis; the base point alone when no axis is swept."""
    place = {name: getattr(spec, name) for name in ("model", "device", "dtype")}
    place["dataset"] = spec.data
    sweeps = [{axis.name: level} for axis in spec.axes for level in axis.values]
    points = (Point(**{**spec.base, **place, **sweep}) for sweep in sweeps or [{}])
    return list(dict.fromkeys(points))


def _block(spec: Spec, point: Point) -> Block:
    variants = (SGD, *spec.variants)
    # Which of several devices of a kind it runs on does not make it another cell.
    place = {**asdict(point), "device": device_kind(point.device)}
    cells = tuple(Cell(_identity(spec, place, str(v)), v) for v in variants)
    return Block(_identity(spec, place), point, cells)


def _identity(spec: Spec, *parts: object) -> str:
    """16 hex digits, the same for the same facts in any process, order and run."""
    shared = {name: getattr(spec, name) for name in _SHARED_FACTS}
    return stable_hash([shared, *parts])[:16]
