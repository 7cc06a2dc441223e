"""What every record of a journal has."""

from typing import Annotated

from msgspec import Meta, Struct

SCHEMA = 1

_LARGEST = 2**53  # whole numbers up to here are exact as floats

Whole = Annotated[int, Meta(ge=0, le=_LARGEST)]
Level = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class Record(Struct, kw_only=True, tag_field="kind"):
    """What every record has."""

    schema: int = SCHEMA
    cell_id: str | None = None  # what was measured; None if no other record can take its place
    status: str = "ok"  # or how it failed
    reason: str = ""
    unit: str | None = None  # the unit of work that it is part of; a block's cells have none
    of: Level | None = None  # how many records the unit has; one where it says nothing
    last_lines: list[str] | None = None  # what a worker that died wrote
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
