"""Whether a record of a journal is what the tables expect of it, field by field.

A journal may come from anybody. What is wrong in it is named here, once, so that nothing behind
has to ask again what kind of value it holds.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bench.errors import JournalError
from reports.run.harmless import shortened, text
from reports.run.profile_records import are_phases, is_inside, is_trace

Record = dict[str, Any]

AXES = ("t", "d", "n", "l", "b")

_LARGEST = 2**53  # whole numbers up to here are exact as floats
_MOST_LEVEL = 2**31 - 1
_MOST_SAMPLES = 100_000
_SECONDS = ("seconds", "prepare_s", "steps_s")


class Check(NamedTuple):
    """What a value has to be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]


def is_number(value: Any) -> bool:
    """An int of moderate size or a float, NaN and infinity included."""
    kind = type(value)
    return kind is float or (kind is int and -_LARGEST <= value <= _LARGEST)


def is_whole(value: Any) -> bool:
    """An int of moderate size, not below zero."""
    return type(value) is int and 0 <= value <= _LARGEST


def _is_level(value: Any) -> bool:
    return type(value) is int and 1 <= value <= _MOST_LEVEL


def _are_samples(value: Any) -> bool:
    return type(value) is list and len(value) <= _MOST_SAMPLES and all(map(_is_sample, value))


def _is_sample(value: Any) -> bool:
    if type(value) is not dict:
        return False
    number = value.get("round")
    return (
        all(
            (n := value.get(k)) is None or is_number(n) for k in ("seconds", "prepare_s", "steps_s")
        )
        and (number is None or is_whole(number))
        and type(value.get("clock", "wall")) is str
    )


def _are_curve_points(value: Any) -> bool:
    return type(value) is list and all(
        type(row) is dict and all(n is None or is_number(n) for n in row.values()) for row in value
    )


def _are_numbers(value: Any) -> bool:
    return type(value) is list and all(n is None or is_number(n) for n in value)


def _are_dims(value: Any) -> bool:
    return type(value) is dict and all(
        dims is None or (type(dims) is list and all(map(is_whole, dims))) for dims in value.values()
    )


def _is_stop(value: Any) -> bool:
    return (
        type(value) is dict
        and type(value.get("reason", "")) is str
        and all(
            (number := value.get(name)) is None or is_number(number)
            for name in ("interval_level", "effective_samples")
        )
    )


def _is_warmup(value: Any) -> bool:
    return type(value) is dict and is_whole(value.get("rounds", 0))


TEXT = Check("a text", lambda value: type(value) is str)
NUMBER = Check("a number", is_number)
WHOLE = Check("a whole number from 0 on", is_whole)
LEVEL = Check(f"a whole number from 1 to {_MOST_LEVEL}", _is_level)

_SETTING = dict.fromkeys(("model", "dataset", "device", "dtype"), TEXT)
_AXES = dict.fromkeys(AXES, LEVEL)
_NULL_DIMS = {"null_dims": Check("lists of whole numbers by name", _are_dims)}
_TEXTS = dict.fromkeys(("cell_id", "status", "reason", "guarantee", "teleport_status"), TEXT)
_COUNTS = ("steps_done", "peak_memory_bytes", "reserved_memory_bytes", "operations", "bytes")

FIELDS: Mapping[str, Mapping[str, Check]] = {
    "cell": {
        **dict.fromkeys(("cell_id", "block_id", "method", "variant", "session"), TEXT),
        **_SETTING,
        **_AXES,
        **_NULL_DIMS,
        **_TEXTS,
        **dict.fromkeys(("memory_note", "operations_note"), TEXT),
        **dict.fromkeys(_COUNTS, WHOLE),
        "stop": Check("an object with a reason and numbers", _is_stop),
        "warmup": Check("an object with a number of rounds", _is_warmup),
        "flags": Check("a list", lambda value: type(value) is list),
        "samples": Check("a list of samples with numbers", _are_samples),
    },
    "preservation": {
        **dict.fromkeys(("method", "variant", "start"), TEXT),
        **_SETTING,
        **_AXES,
        **_NULL_DIMS,
        **_TEXTS,
        **dict.fromkeys(("tau", "lr"), NUMBER),
        "rows": Check("a list of steps with numbers", _are_curve_points),
    },
    "spectrum": {
        **_SETTING,
        **_AXES,
        **_TEXTS,
        "layer": TEXT,
        **dict.fromkeys(("position", "rows", "columns"), WHOLE),
        "eigenvalues": Check("a list of numbers", _are_numbers),
    },
    "profile": {
        **dict.fromkeys(("method", "variant", "note"), TEXT),
        **_SETTING,
        **_AXES,
        **_TEXTS,
        **dict.fromkeys(("seconds", "unwatched_s"), NUMBER),
        **dict.fromkeys(("operations", "bytes"), WHOLE),
        **dict.fromkeys(("raw_trace", "tensorboard"), Check("a path under profiles/", is_inside)),
        "phases": Check("a list of phases with numbers", are_phases),
        "traced": Check("an object with phases, operators and numbers", is_trace),
    },
    "training": {
        **_SETTING,
        **dict.fromkeys(("t", "d", "n", "l", "batch_size"), LEVEL),
        **dict.fromkeys(("samples_per_epoch", "epochs"), LEVEL),
        **dict.fromkeys(("teleport_epochs", "teleport_batches"), LEVEL),
    },
}
FIELDS = {**FIELDS, "reference": FIELDS["cell"]}

_CELL = ("cell_id", "block_id", "method", "variant", *_SETTING, "status")
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "cell": _CELL,
    "reference": _CELL,
    "preservation": ("method", "variant", "model", "dataset", "status", "rows"),
    "spectrum": ("model", "dataset"),
    "profile": ("cell_id", "method", "variant", *_SETTING, "status"),
    "training": ("samples_per_epoch", "epochs", "teleport_epochs", "teleport_batches", "t"),
}


def check(record: Record, number: int) -> None:
    """Refuse a record without a field it must have, or with a value no table could hold.

    Raises:
        JournalError: names the record, the field and what was expected.
    """
    kind = record["kind"]
    where = f"in record {number} of the journal, a {shortened(text(kind), 40)}"
    absent = [key for key in REQUIRED.get(kind, ()) if record.get(key) is None]
    if absent:
        raise JournalError(
            f"expected {', '.join(absent)} {where}; got only "
            f"{shortened(', '.join(sorted(record)), 300)}"
        )
    for name, wanted in FIELDS.get(kind, {}).items():
        value = record.get(name)
        if value is not None and not wanted.holds(value):
            raise JournalError(
                f"expected {name} {where}, to be {wanted.words}; got "
                f"{shortened(text(repr(value)), 100)}: restore the file, or delete that line"
            )
