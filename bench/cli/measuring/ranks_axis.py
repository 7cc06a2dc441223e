"""``--axis r=1,2,4``: calls that ranks share, measured at the base beside what is swept."""

from dataclasses import replace

from bench.measurements.ranks import Settings
from bench.spec.axes import RANKS, parse_levels
from bench.spec.checks import distinct
from bench.spec.spec import Spec

_SECTION = "ranks"


def split_ranks(axes: list[str]) -> tuple[list[str], tuple[int, ...]]:
    """The axes of a command line, and the levels of ``r=1,2,4`` among them.

    Raises:
        SpecError: a level that is no whole number, or the axis given twice.
    """
    written = [text for text in axes if text.partition("=")[0].strip() == RANKS]
    if not written:
        return axes, ()
    distinct("the axes", [RANKS for _ in written])
    levels = parse_levels(RANKS, written[0].partition("=")[2])
    return [text for text in axes if text not in written], levels


def with_ranks(spec: Spec, levels: tuple[int, ...], *, alone: bool) -> Spec:
    """The spec with these levels in its section [ranks]; ``alone`` sweeps nothing else."""
    known: Settings | None = spec.sections.get(_SECTION)
    section = Settings(levels=levels) if known is None else replace(known, levels=levels)
    axes = () if alone else spec.axes
    return replace(spec, axes=axes, sections={**spec.sections, _SECTION: section})
