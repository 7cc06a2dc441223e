"""What a process of its own costs: the same blocks with and without one, in turn."""

import math
from collections import deque
from dataclasses import replace
from time import monotonic

import pytest

from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.runner.progress import QuietProgress
from bench.runner.runner import Runner
from bench.spec.preset import load_preset
from bench.spec.sampling import Sampling
from bench.statistics.medians import median_interval
from bench.storage.journal import Journal, read
from bench.worker import commands


class InThisProcess:
    """A worker that is none: its commands are carried out here."""

    def __init__(self):
        self._events = deque([{"event": "ready"}])

    def send(self, command):
        commands._COMMANDS[command["do"]](command, self._events.append)
        self._events.append({"event": "done"})

    def receive(self, _timeout):
        return self._events.popleft()

    def stop(self):
        pass

    kill = stop


def blocks_of(preset, sampling, axes):
    spec = load_preset(preset)
    spec = spec.with_overrides(
        device="cpu",
        threads=1,
        axes=axes,
        sampling=sampling,
        preservation=replace(spec.preservation, enabled=False),
    )
    return make_units(make_plan(spec), [])


def in_turn(place, units):
    """Seconds and journals with isolation and without; every second block begins without."""
    runners = {
        "apart": Runner(QuietProgress(), silence=600.0),
        "here": Runner(QuietProgress(), launch=InThisProcess),
    }
    seconds = dict.fromkeys(runners, 0.0)
    with Journal(place / "apart.jsonl") as apart, Journal(place / "here.jsonl") as here:
        journals = {"apart": apart, "here": here}
        for number, unit in enumerate(units):
            for name in list(runners)[:: -1 if number % 2 else 1]:
                began = monotonic()
                runners[name].run([unit], journals[name], None)
                seconds[name] += monotonic() - began
    for runner in runners.values():
        runner.close()
    return seconds, {name: read(place / f"{name}.jsonl") for name in runners}


def middle(record):
    values = sorted(sample.seconds for sample in record.samples)
    return values[len(values) // 2]


def ratios(records):
    """Apart over here, the geometric mean of each block's cells."""
    here = {record.cell_id: record for record in records["here"]}
    logs = {}
    for record in records["apart"]:
        ratio = middle(record) / middle(here[record.cell_id])
        logs.setdefault(record.block_id, []).append(math.log(ratio))
    return [math.exp(sum(values) / len(values)) for values in logs.values()]


@pytest.mark.long
def test_a_process_of_its_own_changes_nothing_but_the_times(tmp_path):
    sampling = Sampling(warmup=1, max_warmup=1, min_samples=3, max_samples=3, block_seconds=0.1)
    _, records = in_turn(tmp_path, blocks_of("smoke", sampling, None)[:2])

    timeless = ("cell_id", "status", "reason", "steps_done", "guarantee", "null_dims", "operations")
    facts = {
        name: {record.cell_id: [getattr(record, key) for key in timeless] for record in found}
        for name, found in records.items()
    }
    assert facts["apart"] == facts["here"]
    assert len(facts["here"]) == 6
    assert {record.status for record in records["here"]} == {"ok"}


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_isolation_costs_at_most_a_twentieth_of_a_quick_run(tmp_path):
    # As many samples in both, and no more than quick takes at least: its blocks are longer.
    sampling = Sampling(warmup=2, max_warmup=2, min_samples=7, max_samples=7, block_seconds=1e-3)
    seconds, records = in_turn(tmp_path, blocks_of("quick", sampling, None))

    cost = seconds["apart"] / seconds["here"] - 1
    found = median_interval(ratios(records))
    print(f"\n{seconds['apart']:.1f} s apart, {seconds['here']:.1f} s here: {100 * cost:+.1f} %")
    print(f"samples apart over here, by block: {found}")
    assert cost <= 0.05
    assert found.low <= 1.01
