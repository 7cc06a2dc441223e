"""What is held fixed in a sweep: the setting, and the point at which the other axes stay."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from bench.spec.axes import AXES
from bench.storage.records import CellRecord


class Setting(NamedTuple):
    """What is held fixed in all five sweeps."""

    model: str
    dataset: str
    device: str
    dtype: str

    @property
    def heading(self) -> str:
        """The setting over what is said of it, ``mlp on digits, cpu, float32``."""
        return f"{self.model} on {self.dataset}, {self.device}, {self.dtype}"


class _Placed(Protocol):
    """A record or a row that has a setting."""

    @property
    def model(self) -> str: ...

    @property
    def dataset(self) -> str: ...

    @property
    def device(self) -> str: ...

    @property
    def dtype(self) -> str: ...


def setting_of(record: _Placed) -> Setting:
    """The setting of a record or of a row."""
    return Setting(record.model, record.dataset, record.device, record.dtype)


def settings(records: Iterable[_Placed]) -> list[Setting]:
    """Every setting of a run, sorted."""
    return sorted({setting_of(record) for record in records})


def is_at(record: Any, point: dict[str, int], *, but: str = "") -> bool:
    """Whether a record or a row lies at a point, whatever its level of the axis ``but``.

    A letter that the model does not take has no level.
    """
    levels = {axis: getattr(record, axis) for axis in AXES if axis != but}
    return all(level in (None, point[axis]) for axis, level in levels.items())


def swept_axes(record: Any, base: dict[str, int]) -> Sequence[str]:
    """The axes whose sweep a record or a row is in: the others have their levels of ``base``."""
    levels = {axis: level for axis in AXES if (level := getattr(record, axis)) is not None}
    off = [axis for axis, level in levels.items() if level != base[axis]]
    return off if len(off) == 1 else () if off else [*levels]


def taken(records: Sequence[Any], point: dict[str, int]) -> dict[str, int]:
    """The levels of a point whose letters these records have: a model may take no d, n or l."""
    known = {axis for axis in point for record in records if getattr(record, axis) is not None}
    return {axis: level for axis, level in point.items() if axis in known or not records}


def base_point(cells: Sequence[CellRecord], spec: dict[str, Any] | None) -> dict[str, int]:
    """The levels while another axis is swept: the spec's, else the most common ones."""
    asked = (spec or {}).get("base")
    if isinstance(asked, dict) and all(isinstance(asked.get(axis), int) for axis in AXES):
        return {axis: asked[axis] for axis in AXES}
    return {axis: _most_common([getattr(cell, axis) for cell in cells]) for axis in AXES}


def _most_common(levels: Sequence[int | None]) -> int:
    known = [level for level in levels if level is not None]
    return max(sorted(set(known)), key=known.count, default=0)


def unfinished(cells: Sequence[CellRecord], spec: dict[str, Any] | None) -> list[str]:
    """A note if the journal holds fewer cells than the spec asks for; without methods, none."""
    base, axes, methods = ((spec or {}).get(key) for key in ("base", "axes", "methods"))
    if not (isinstance(base, dict) and isinstance(axes, dict) and isinstance(methods, list)):
        return []
    lists = {axis: levels for axis, levels in axes.items() if isinstance(levels, list)}
    swept = [(axis, level) for axis, levels in lists.items() for level in levels]
    points = {tuple(sorted({**base, axis: level}.items())) for axis, level in swept}
    wanted = max(len(points), 1) * (len(methods) + 1)  # the methods and sgd
    if not methods or len(cells) >= wanted:
        return []
    return [
        f"The run is not finished: its spec asks for {wanted} cells, the journal holds "
        f"{len(cells)}. The others were not begun."
    ]
