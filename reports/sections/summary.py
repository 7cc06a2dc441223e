"""The title, and a sentence on how much was measured."""

from collections import Counter
from collections.abc import Sequence

from bench.spec.axes import AXES
from bench.storage.training_records import TrialFacts
from reports.run.run import SGD
from reports.run.setting import setting_of
from reports.tables.runtime import CellRow
from reports.text.formatting import listed, whole


def title(rows: Sequence[CellRow] | Sequence[TrialFacts]) -> str:
    """Names what was run: cells, or trials where there are none."""
    found = sorted({(row.model, row.dataset) for row in rows})
    devices = sorted({row.device for row in rows})
    if not found:
        return "Teleportation benchmark"
    what = listed([f"{model} on {dataset}" for model, dataset in found])
    return f"Teleportation benchmark: {what}, {listed(devices)}"


def counts(rows: Sequence[CellRow], profiled: int = 0) -> str:
    """How many variants, points and cells a whole run holds, whatever of it a page shows.

    ``profiled`` is the number of profiles, which matters where there is nothing else.
    """
    if not rows and profiled:
        return f"{profiled} {_plural('cell', profiled)} profiled; nothing else was asked for."
    if not rows:
        return "The journal holds no cells: nothing was timed."
    variants = {row.variant for row in rows if row.method != SGD}
    points = {(setting_of(row), *(getattr(row, axis) for axis in AXES)) for row in rows}
    statuses = Counter(row.status for row in rows)
    dtypes = listed(sorted({row.dtype for row in rows}))
    failed = [f"{count} {status}" for status, count in sorted(statuses.items()) if status != "ok"]
    rest = f"; the others: {listed(failed)}" if failed else ""
    return (
        f"{len(variants)} {_plural('variant', len(variants))} and SGD were timed at {len(points)} "
        f"{_plural('point', len(points))} in {dtypes}: {statuses['ok']} of {len(rows)} cells "
        f"have a time{rest}.{_flagged(rows)}{_own_models(rows)}"
    )


def _own_models(rows: Sequence[CellRow]) -> str:
    """What the user's own models are, and what was done to them."""
    said = []
    for model in sorted({row.model for row in rows if ":" in row.model}):
        own = sorted({(r.parameters or 0, r.network) for r in rows if r.model == model})
        known = [each for each in own if each[1]]
        if known:
            sizes = " to ".join(dict.fromkeys(whole(number) for number, _ in (known[0], known[-1])))
            said.append(f"{model} is {known[0][1]} with {sizes} parameters.")
        notes = {row.model_note for row in rows if row.model == model} - {""}
        said += sorted(f"{note[0].upper()}{note[1:]}." for note in notes)
    return "".join(f" {sentence}" for sentence in said)


def _flagged(rows: Sequence[CellRow]) -> str:
    """A sentence if some cells were measured while something was not as it should be."""
    count = sum(bool(row.flags) for row in rows)
    if not count:
        return ""
    return (
        f" {count} {_plural('cell', count)} {'is' if count == 1 else 'are'} flagged: see the "
        "column flags of the table of cells before their times are used."
    )


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"
