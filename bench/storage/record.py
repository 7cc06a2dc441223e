"""What every record of a journal has."""

from typing import Annotated

from msgspec import Meta, Struct

SCHEMA = 1

_LARGEST = 2**53  # whole numbers up to here are exact as floats

Whole = Annotated[int, Meta(ge=0, le=_LARGEST)]
Level = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Record(Struct, kw_only=True, tag_field="kind"):
    """What every record has.

    Attributes:
        schema: version of the journal's format.
        cell_id: names what was measured; None for a record that no other can take the place of.
        status: "ok", or how it failed.
        reason: why, in words.
        unit: the unit of work that it is part of, and
        of: of how many records, one where it says nothing; a block's cells have none.
        last_lines: what a worker that died wrote last.
        model, dataset, device, dtype, t, d, n, l, b: the point.
    """

    schema: int = SCHEMA
    cell_id: str | None = None
    status: str = "ok"
    reason: str = ""
    unit: str | None = None
    of: Level | None = None
    last_lines: list[str] | None = None
    model: str = ""
    dataset: str = ""
    device: str = ""
    dtype: str = ""
    t: Level | None = None
    d: Level | None = None
    n: Level | None = None
    l: Level | None = None  # noqa: E741  (the letter of the papers)
    b: Level | None = None


class FailureRecord(Record, kw_only=True, tag="failure"):
    """Why a unit failed whose own records need more than is known of one that failed."""
