"""A plan in words: its levels, its counts and, roughly, how long it will take."""

from bench.plan.points import Plan
from bench.spec.axes import MEANINGS
from bench.spec.spec import Spec
from bench.spec.variants import not_timed
from bench.times import duration

START_SECONDS = 10.0  # starting the worker, measuring the spectrum, writing the report
PER_BLOCK_SECONDS = 0.5  # building the model, drawing batches, evaluating off the clock
MOST_CALL_SECONDS = 2.0  # the whole calls of a cell; those of slow ones take longer
PROBE_STEP_SECONDS = 5e-4  # a step of a small network and its share of the evaluations
RECORD_SECONDS = 1.0  # one record of preservation, of a small network


def describe(plan: Plan) -> str:
    """What is printed before a run: levels, counts and a rough time."""
    spec = plan.spec
    a_block = (
        f": {spec.sampling.block_seconds:g} s a point and {_call_seconds(spec):.2g} s for its "
        "whole calls, more where cells are slow"
    )
    a_point = a_block if plan.blocks else ""
    what = f"model {spec.model} on {spec.data}, " if spec.variants else ""
    lines = [
        f"preset {spec.preset}: {what}device {spec.device}, dtype {spec.dtype}, seed {spec.seed}",
        *(_sweep(plan) if spec.variants else ["nothing is timed"]),
        *_preservation(spec),
        *_probe(spec),
    ]
    if spec.variants or spec.preservation.enabled or _probe(spec):
        guess = f"(a rough guess{a_point})"
        lines.append(f"estimated time: about {duration(plan_seconds(plan))} {guess}")
    crowded = sum(block.point.n >= block.point.d for block in plan.blocks)
    if crowded and spec.model == "mlp":
        lines.append(
            f"note: n >= d at {_count(crowded, 'point')}: nothing may be free to move there, and "
            "a cell that cannot take every step is invalid"
        )
    return "\n".join([*lines, *notes_on_options(spec)])


def notes_on_options(spec: Spec) -> list[str]:
    """A line on options of what is timed that have no effect on the times; none without such."""
    found = {str(variant): not_timed(str(variant)) for variant in spec.variants}
    named = [f"{' and '.join(names)} of {text}" for text, names in found.items() if names]
    if not named:
        return []
    return [
        f"note: no effect on times: {'; '.join(named)}: cells are timed with a tiny lr and without "
        "cap, so that every step is carried out"
    ]


def _sweep(plan: Plan) -> list[str]:
    return [
        *_levels(plan.spec),
        f"{_count(plan.point_count, 'point')}, {_count(plan.cell_count, 'cell')} "
        f"({_count(len(plan.spec.variants), 'variant')} and sgd at each point)",
    ]


def _preservation(spec: Spec) -> list[str]:
    """Where preservation is measured."""
    section = spec.preservation
    if not section.enabled:
        return []
    taken = [f"{name}={getattr(section, name)}" for name in ("d", "n", "l") if name in spec.letters]
    at = f" at {', '.join(taken)}" if taken else ""
    places = section.pairs or (f"{spec.model}{at}",)
    return [f"preservation and spectrum of {place}" for place in places]


def _probe(spec: Spec) -> list[str]:
    """What is probed."""
    section = spec.sections.get("probe")
    if section is None:
        return []
    starts, seeds = _count(len(section.epochs), "start"), _count(section.seeds, "seed")
    arms = _count(len(section.arms), "arm")
    return [f"probe of {', '.join(section.optimizers)}: {arms} and plain, {starts}, {seeds}"]


def _probe_seconds(spec: Spec) -> float:
    section = spec.sections.get("probe")
    if section is None:
        return 0.0
    rates = sum(len(section.lrs_of(optimizer)) for optimizer in section.optimizers)
    sweeps = section.seeds * rates * (len(section.epochs) * (1 + len(section.arms)) + 1)
    return float(sweeps * section.horizons[-1] * PROBE_STEP_SECONDS)


def _levels(spec: Spec) -> list[str]:
    """One line a letter: its levels and base value, or its fixed value."""
    levels = {axis.name: ", ".join(map(str, axis.values)) for axis in spec.axes}
    width = max(map(len, MEANINGS.values()))
    lines = []
    for letter in spec.letters:
        base = spec.base[letter]
        text = f"{levels[letter]} (base {base})" if letter in levels else str(base)
        lines.append(f"  {letter}  {MEANINGS[letter]:{width}}  {text}")
    return lines


def plan_seconds(plan: Plan) -> float:
    """How long a plan takes whose blocks use the time they are given, its budget at most.

    Fast cells have their samples earlier; a block whose cells are slow goes on to its minimum.
    """
    spec, section = plan.spec, plan.spec.preservation
    records = (len(section.variants) + len(section.taus)) * len(section.starts)
    a_block = PER_BLOCK_SECONDS + spec.sampling.block_seconds + _call_seconds(spec)
    blocks = plan.point_count * a_block
    if spec.budget is not None:
        blocks = min(blocks, spec.budget)
    beside = RECORD_SECONDS * section.enabled * records * max(1, len(section.pairs))
    return START_SECONDS + blocks + beside + _probe_seconds(spec)


def _call_seconds(spec: Spec) -> float:
    """Of the whole calls of a block: those of a cell take about as long as its samples."""
    variants = len(spec.variants)
    return variants * min(MOST_CALL_SECONDS, spec.sampling.block_seconds / (1 + variants))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
