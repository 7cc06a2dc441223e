"""The table as a page: counts, what failed, what was refused and why, and every row."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version

from isolation import SECONDS
from table import MODULES, installed
from trial import EXACT, FACTORS, STEPS, Row

OUTCOMES = ("exact", "no growth", "approximate", "no null space", "no ascent", "refused")
FAILURES = ("raw", "time", "memory", "crash")
NOT_OURS = "fails by itself"

HEAD = """# Models of other libraries

`make strangers` sends models of six libraries through one call of `teleport` each: random weights,
float64, small inputs of two samples, {steps} steps, each model in a process of its own. This page
is what the last run wrote ({versions}).

"exact" means that the outputs on the batch, by real forward passes before and after, agree to
{exact:g} of their size (||o' - o|| / ||o||, of several outputs the largest) while the squared
gradient norm rises. lr is {first:g} / ||g||; where outputs did not stay, {second:g} / ||g||.

"raw" is any exception that is not one of `teleport_core.errors`; "time", "memory" and "crash" are
processes that did not finish within {seconds:g} s, within their memory, or at all. Every row was
also held to leave no trace: parameters and buffers are the same objects under every name, buffers,
modes, `.grad` and random generators as before, after a refusal the weights bit for bit. What did
leave one is listed. "{not_ours}": the model itself raises, or gives another result each time.
"""


COSTS = """## Costs

In SGD steps of the same model (forward, backward, update), on a machine that was busy with other
things, so that each may be off by half; memory over an SGD step's own peak. A whole call includes
all checks and {steps} steps.

"""


def markdown(rows: list[Row], known_models: int) -> str:
    """The page, from all rows of the CSV file; the table may hold more models."""
    names = [name for name in MODULES if installed(name)]
    known = ", ".join(f"{name} {version(name)}" for name in ["torch", *names])
    head = HEAD.format(
        steps=STEPS,
        versions=known,
        exact=EXACT,
        first=FACTORS[0],
        second=FACTORS[1],
        seconds=SECONDS,
        not_ours=NOT_OURS,
    )
    parts = [
        head,
        _counts(rows, known_models),
        _costs(rows),
        _failed(rows),
        _refused(rows),
        _all(rows),
    ]
    return "\n".join(parts)


def _counts(rows: list[Row], known_models: int) -> str:
    kinds = [*OUTCOMES, *FAILURES, NOT_OURS]
    lines = [[name] + [str(_of(rows, name)[kind]) for kind in kinds] for name in MODULES]
    total = Counter(row.outcome for row in rows)
    lines.append(["all", *(str(total[kind]) for kind in kinds)])
    traces = sum(bool(row.faults) for row in rows)
    after = f"\n{len(rows)} of {known_models} models were run; {traces} left a trace "
    after += "or broke their promise.\n"
    return _table(["library", *kinds], lines) + after


def _of(rows: list[Row], library: str) -> Counter[str]:
    return Counter(row.outcome for row in rows if row.library == library)


def _costs(rows: list[Row]) -> str:
    text = COSTS.format(steps=STEPS)
    lines = []
    for name in ("step", "prepare", "call", "memory"):
        values = sorted(v for row in rows if not math.isnan(v := getattr(row, name)))
        if values:
            ninety = values[min(len(values) - 1, int(0.9 * len(values)))]
            most = max(rows, key=lambda row: _finite(getattr(row, name)))
            lines.append(
                [
                    name,
                    *(f"{v:.2g}" for v in (statistics.median(values), ninety, values[-1])),
                    f"{most.library} {most.model}",
                ]
            )
    return text + _table(["", "median", "90 %", "largest", "at"], lines)


def _finite(value: float) -> float:
    return -1.0 if math.isnan(value) else value


def _failed(rows: list[Row]) -> str:
    bad = [row for row in rows if row.outcome in FAILURES or row.faults]
    lines = [[r.library, r.model, r.outcome, r.faults, r.sentence[:160]] for r in bad]
    text = "## Failures\n\n"
    return text + (
        _table(["library", "model", "outcome", "traces", "said"], lines) if bad else "None.\n"
    )


def _refused(rows: list[Row]) -> str:
    kinds = ("refused", "approximate", NOT_OURS)
    lines = [[r.library, r.model, r.outcome, r.sentence] for r in rows if r.outcome in kinds]
    return "## Refused, approximate, or failing by itself\n\n" + _table(
        ["library", "model", "outcome", "said"], lines
    )


def _all(rows: list[Row]) -> str:
    lines = [
        [r.library, r.model, r.outcome]
        + [_short(v) for v in (r.drift, r.growth, r.step, r.prepare, r.call, r.memory)]
        for r in rows
    ]
    columns = ["library", "model", "outcome", "drift", "growth of g²", "step", "prepare", "call"]
    return "## Every row\n\n" + _table([*columns, "memory"], lines)


def _short(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2g}"


def _table(head: list[str], lines: Iterable[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(_cell(c) for c in row)} |\n" for row in rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
