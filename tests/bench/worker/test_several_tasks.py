"""A sweep over a problem of several tasks: who takes such a loss, and who does not."""

from typing import Any

from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.spec.preset import load_preset
from bench.spec.variants import parse_variant
from bench.worker import block


def test_cost_is_timed_beside_a_step_on_the_mean_and_others_say_why_not() -> None:
    variants = tuple(map(parse_variant, ("cost:trigger=always", "level_set", "cost:rank=0")))
    base = {"t": 2, "d": 8, "n": 40, "l": 2, "b": 1}
    spec = load_preset("smoke").with_overrides(
        device="cpu", threads=1, model="digits_parity", variants=variants, base=base, axes=()
    )
    events: list[dict[str, Any]] = []

    block.run_block(make_units(make_plan(spec), [])[0].command, events.append)

    cells = {event["cell_id"]: event for event in events if event["event"] == "cell"}
    found = sorted((cell["status"], cell["reason"]) for cell in cells.values())
    assert [status for status, _ in found].count("ok") == 2, found  # cost, and sgd
    reasons = " ".join(reason for _, reason in found)
    assert "expected loss_fn to return a scalar tensor; got (2,)" in reasons
    assert "expected rank to be a whole number >= 1" in reasons
