"""What a call holds of memory over its time, a curve per variant."""

from collections.abc import Mapping, Sequence

from bench.storage.records import ProfileRecord
from reports.text.canvas import Drawing, Style, finish, look, panel
from reports.text.formatting import memory

_MEGABYTE = 2.0**20
_SGD = Style("0.35", "", (), "grey line")


def memory_panels(
    records: Sequence[ProfileRecord], styles: Mapping[str, Style]
) -> list[tuple[str, Drawing]]:
    """A panel per device; none where no allocation was recorded."""
    devices = sorted({d for record in records for d in _curves(record)})
    with look():
        return [(device, _draw(records, device, styles)) for device in devices]


def _curves(record: ProfileRecord) -> dict[str, list[tuple[float, int]]]:
    return record.traced.memory if record.traced else {}


def _draw(records: Sequence[ProfileRecord], device: str, styles: Mapping[str, Style]) -> Drawing:
    figure, axes = panel("time since a call began, % of the call", f"MiB held, {device}")
    words = []
    for record in records:
        points = _curves(record).get(device, [])
        if len(points) < 2 or not points[-1][0] > 0:
            continue
        style = styles.get(record.variant, _SGD)
        x = [100 * moment / points[-1][0] for moment, _ in points]
        y = [held / _MEGABYTE for _, held in points]
        axes.plot(
            x, y, color=style.colour, linestyle=style.line()["linestyle"], lw=1.1,
            drawstyle="steps-post", gid="memory", label=record.variant,
        )  # fmt: skip
        words.append(f"{record.variant}: at most {memory(max(held for _, held in points))}.")
    axes.set_xlim(0, 103)
    axes.set_ylim(bottom=0)
    alt = f"Memory of {device} over the time of a call, beyond what was held before."
    return finish(figure, " ".join([alt, *words]))
