"""The plan: the points of a spec's sweeps, each a block of cells, in seeded random order.

Sweeps go one letter at a time: each axis's levels, every other letter at its base value. A point
that lies on several axes is run once.
"""

from dataclasses import asdict, dataclass, replace

from bench.errors import SpecError
from bench.seeds import seed_for, stable_hash
from bench.spec.axes import AXES
from bench.spec.spec import Spec
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

    @property
    def swept(self) -> tuple[str, ...]:
        """Letters that vary; a factory has to take each of them."""
        return self.spec.swept


def make_plan(spec: Spec) -> Plan:
    """Expand a spec; the order of the blocks is a pure function of its seed."""
    blocks = [_block(spec, point) for point in _points(spec)] if spec.variants else []
    # Each block's own hash is its place, so that leaving one out does not shuffle the others.
    blocks.sort(key=lambda block: seed_for(spec.seed, "order", block.block_id))
    return Plan(spec, tuple(blocks))


def shard(plan: Plan, index: int, count: int) -> Plan:
    """Part ``index`` (1 ... count) of a plan that is run in ``count`` parts."""
    if not 1 <= index <= count:
        raise SpecError(
            f"expected a shard I/N with 1 <= I <= N; got {index}/{count}: write for example 1/4"
        )
    return replace(plan, blocks=plan.blocks[index - 1 :: count])


def places(spec: Spec) -> list[Spec]:
    """A spec for each place whose preservation is measured: every pair, or the spec's own."""
    section = spec.preservation
    return [
        replace(
            spec,
            model=pair.model,
            dataset=pair.dataset,
            variants=spec.variants or section.variants,
            preservation=replace(section, d=pair.d, n=pair.n, l=pair.l, pairs=()),
        )
        for pair in section.pairs
    ] or [spec]


def preservation_id(spec: Spec, variant: Variant, tau: float, start: str) -> str:
    """Id of one preservation record: a variant at one threshold from one start."""
    place = {name: getattr(spec.preservation, name) for name in ("d", "n", "l", "steps", "growth")}
    place |= {name: getattr(spec, name) for name in ("model", "device", "dtype")}
    place["dataset"] = spec.data
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
    cells = tuple(Cell(_identity(spec, asdict(point), str(v)), v) for v in variants)
    return Block(_identity(spec, asdict(point)), point, cells)


def _identity(spec: Spec, *parts: object) -> str:
    """16 hex digits, the same for the same facts in any process, order and run."""
    shared = {name: getattr(spec, name) for name in _SHARED_FACTS}
    return stable_hash([shared, *parts])[:16]
