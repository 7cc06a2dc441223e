"""How near a cell comes to what the machine can do: its rates beside those of the run."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bench.storage.records import CellRecord, ProfileRecord
from reports.run.run import as_float
from reports.text import formatting

# Column -> what prepare and steps are counted to do, and the rate of the machine beside it.
SHARES = {
    "operations_share": ("operations", "matmul_flop_per_s"),
    "bytes_share": ("bytes", "copy_bytes_per_s"),
}


class Roof(NamedTuple):
    """Rates of the machine; NaN where they were not measured."""

    rates: Mapping[str, float]
    device: str
    dtype: str


def roof_of(environment: dict[str, Any] | None) -> Roof:
    """What environment.json says of the machine."""
    facts = environment or {}
    rates = {rate: as_float(facts.get(rate)) for _, rate in SHARES.values()}
    return Roof(rates, str(facts.get("roofline_device")), str(facts.get("roofline_dtype")))


def share(roof: Roof, cell: CellRecord | ProfileRecord, column: str, seconds: float) -> float:
    """``column`` of phases of ``seconds`` as a share of what the machine can do; NaN if unknown."""
    what, rate = SHARES[column]
    measured_here = (cell.device, cell.dtype) == (roof.device, roof.dtype)
    if not (measured_here and seconds > 0 and roof.rates[rate] > 0):
        return float("nan")
    return as_float(getattr(cell, what)) / seconds / roof.rates[rate]


def sentence(environment: dict[str, Any] | None) -> str:
    """What the machine can do, in words; nothing if it was not measured."""
    facts = environment or {}
    copy, square, thin = (
        as_float(facts.get(name))
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
