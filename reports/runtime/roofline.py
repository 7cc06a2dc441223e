"""How near a call comes to what the machine can do: its rates beside those measured in the run."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from reports.run.run import Record, number
from reports.tables import runtime as tables
from reports.text import formatting

SHARES = {
    "operations_share": ("operations", "matmul_flop_per_s"),
    "bytes_share": ("bytes", "copy_bytes_per_s"),
}


class Roof(NamedTuple):
    """Rates of the machine; NaN where they were not measured."""

    rates: Mapping[str, float]
    device: str
    dtype: str


def roof_of(environment: Record | None) -> Roof:
    """What environment.json says of the machine."""
    facts = environment or {}
    rates = {rate: number(facts.get(rate)) for _, rate in SHARES.values()}
    return Roof(rates, str(facts.get("roofline_device")), str(facts.get("roofline_dtype")))


def share(roof: Roof, cell: Record, column: str, seconds: float) -> float:
    """``column`` of a call of ``seconds`` as a share of what the machine can do; NaN if unknown."""
    what, rate = SHARES[column]
    measured_here = (cell.get("device"), cell.get("dtype")) == (roof.device, roof.dtype)
    if not measured_here or not seconds > 0:
        return float("nan")
    return number(cell.get(what)) / seconds / roof.rates[rate]


def with_shares(runtime: pd.DataFrame, environment: Record | None) -> pd.DataFrame:
    """The runtime table with ``operations_share`` and ``bytes_share`` at its end.

    Operations over median time over the rate of a large square product, and bytes over median time
    over the rate of a large copy. A share above 1 says that the data stayed in a cache.
    """
    roof = roof_of(environment)
    rows = tables.records(runtime)
    shares = {
        column: [share(roof, row, column, number(row["median_s"])) for row in rows]
        for column in SHARES
    }
    return runtime.assign(**{name: pd.Series(v, dtype="float64") for name, v in shares.items()})


def sentence(environment: Record | None) -> str:
    """What the machine can do, in words; nothing if it was not measured."""
    facts = environment or {}
    copy, square, thin = (
        number(facts.get(name))
        for name in ("copy_bytes_per_s", "matmul_flop_per_s", "thin_matmul_flop_per_s")
    )
    if not (copy > 0 and square > 0 and thin > 0):
        return ""
    size = facts.get("matmul_size")
    shape = facts.get("thin_matmul_size") or ["?"] * 3
    return (
        f"This machine copies {_giga(copy)}B/s (read and written) and multiplies square matrices "
        f"of {size} at {_giga(square)}FLOP/s, [{shape[0]}, {shape[1]}] by [{shape[1]}, {shape[2]}] "
        f"at {_giga(thin)}FLOP/s, in {facts.get('roofline_dtype')}."
    )


def _giga(rate: float) -> str:
    return f"{formatting.number(rate / 1e9)}\N{NO-BREAK SPACE}G"
