"""The wall-clock samples of many cells as columns: a run may hold a million of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.storage.records import CellRecord
from reports.tables.grouped_medians import Floats, Integers

WALL = "wall"

_NO_ROUND = -1
_ROUND = ["cell", "round"]


def wall_columns(cells: Sequence[CellRecord]) -> pd.DataFrame:
    """A row per wall-clock sample of the cells that are ok, one cell behind the other.

    ``cell`` counts the cells from 0, ``round`` is -1 where none is known. In seconds, NaN where
    unknown: ``prepare``, what is done once per batch; ``steps``, all steps; ``total``, both;
    ``step``, one step.
    """
    ok = [(index, cell.samples) for index, cell in enumerate(cells) if cell.status == "ok"]
    found = [(index, sample) for index, own in ok for sample in own if sample.clock == WALL]
    samples = [sample for _, sample in found]
    cell = np.array([index for index, _ in found], dtype=np.int64)
    rounds = [_NO_ROUND if sample.round is None else sample.round for sample in samples]
    taken = np.array([each.steps_done if each.steps_done > 0 else np.nan for each in cells])
    steps = np.array([sample.steps_s for sample in samples], dtype=np.float64)  # None becomes NaN
    return pd.DataFrame(
        {
            "cell": cell,
            "round": np.array(rounds, dtype=np.int64),
            "total": np.array([sample.seconds for sample in samples], dtype=np.float64),
            "prepare": np.array([sample.prepare_s for sample in samples], dtype=np.float64),
            "steps": steps,
            "step": steps / taken[cell] if cells else steps,
        }
    )


def per_round(wall: pd.DataFrame) -> pd.DataFrame:
    """The same with the last sample alone where a cell has several of one round."""
    return wall.drop_duplicates(_ROUND, keep="last")


def ratios(
    wall: pd.DataFrame, above: str, under: pd.DataFrame, below: str, partner: Integers
) -> Floats:
    """``above`` of each sample over ``below`` that its cell's partner has for the same round.

    NaN where it has none, or nothing that can be divided by.

    Args:
        wall: as ``wall_columns`` has them; [samples] rows.
        above: a column of ``wall``.
        under: the samples of the partners, of each round one.
        below: a column of ``under``.
        partner: which cell of ``under`` belongs to each cell of ``wall``, -1 for none, [cells].
    """
    sought = pd.DataFrame({"cell": partner[wall["cell"]], "round": wall["round"]})
    found = sought.merge(under[[*_ROUND, below]], on=_ROUND, how="left", validate="many_to_one")
    divisor = found[below].to_numpy()
    known = np.isfinite(divisor) & (divisor > 0)
    with np.errstate(over="ignore"):
        return wall[above].to_numpy() / np.where(known, divisor, np.nan)


def partners_once(
    partners: Sequence[CellRecord | None],
) -> tuple[list[CellRecord], Integers]:
    """Every partner once, and which of them belongs to each cell, -1 for none, [cells]."""
    once = {id(partner): partner for partner in partners if partner is not None}
    places = {each: place for place, each in enumerate(once)}
    mine = [places.get(id(partner), -1) for partner in partners]
    return list(once.values()), np.array(mine, dtype=np.int64)
