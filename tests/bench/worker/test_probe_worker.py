"""A probe in the worker: a record an arm and start, what failed among them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.measurements.measurement import measurements
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.spec import Spec
from bench.storage.probe_records import AdviceRecord, ProbeRecord
from bench.storage.records import made
from bench.worker.probe import run_probe

FACTORY = """
import torch
from torch import nn
from torch.nn import functional as F

def factory(n):
    model = nn.Sequential(nn.Linear(6, 9), nn.LayerNorm(9), nn.Linear(9, 3))
    batch = torch.randn(n, 6), torch.randint(0, 3, (n,))
    return model, F.cross_entropy, [batch, batch]
"""


def spec(**section: Any) -> Spec:
    start = load_preset("probe-quick")
    small = {"growths": (2.0,), "epochs": (0, 1), "horizons": (1, 3), "lrs": (0.1, 0.2)}
    small |= {"seeds": 2, "batches": 2, "teleports": 1}
    probe = replace(start.sections["probe"], **(small | section))
    axes = (parse_axis("d=12"), parse_axis("n=4"), parse_axis("t=2"))
    return start.with_overrides(axes=axes, sections={"probe": probe})


def commands(of: Spec) -> list[dict[str, Any]]:
    return [unit.command for unit in make_units(make_plan(of), [])]


def records(command: dict[str, Any]) -> list[ProbeRecord]:
    events: list[dict[str, Any]] = []
    run_probe(command, events.append)
    return [made(e["record"], ProbeRecord) for e in events if e["event"] == "record"]


def test_a_unit_for_each_seed_and_optimizer_and_none_without_the_section() -> None:
    found = commands(spec(optimizers=("sgd", "adam")))

    assert [(c["optimizer"], c["number"]) for c in found] == [
        ("sgd", 0), ("adam", 0), ("sgd", 1), ("adam", 1)
    ]  # fmt: skip
    assert found[0]["seed"] == found[1]["seed"] != found[2]["seed"]
    assert len({c["unit"] for c in found}) == 4
    quick = load_preset("smoke").with_overrides(device="cpu")
    assert "probe" not in {unit.command["do"] for unit in make_units(make_plan(quick), [])}
    assert "probe" in {each.name for each in measurements()}


def test_every_arm_has_a_record_at_every_start() -> None:
    (command, other) = commands(spec())

    found = records(command)

    assert [(r.epochs, r.variant) for r in found] == [
        (epochs, variant)
        for epochs in (0, 1)
        for variant in ("plain", "nullspace:growth=2.0", "symmetry:growth=2.0")
    ]
    assert {r.status for r in found} == {"ok"}
    assert {r.of for r in found} == {len(found)} == {len({r.cell_id for r in found})}
    for start in (found[:3], found[3:]):
        assert len({r.loss_start for r in start}) == 1
        assert start[1].grown == [pytest.approx(2.0, rel=0.02)]
    assert found[0].loss_start != found[3].loss_start
    assert found[0].loss_start != records(other)[0].loss_start


def test_what_is_done_is_left_out_and_the_rest_is_the_same() -> None:
    command = commands(spec())[0]
    whole = records(command)
    done = [str(r.cell_id) for r in whole[:4]]

    rest = records({**command, "done": done})

    assert [(r.cell_id, r.sweep) for r in rest] == [(r.cell_id, r.sweep) for r in whole[4:]]


def test_a_method_that_cannot_move_the_model_says_why(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(FACTORY)
    mine = replace(spec(epochs=(0,)), model=f"{tmp_path / 'mine.py'}:factory")

    found = {r.variant: r for r in records(commands(mine)[0])}

    assert found["symmetry:growth=2.0"].status == "skipped"
    assert "LayerNorm" in found["symmetry:growth=2.0"].reason
    assert found["symmetry:growth=2.0"].sweep == []
    assert found["nullspace:growth=2.0"].status == found["plain"].status == "ok"


def test_advice_is_a_unit_of_its_own() -> None:
    command = commands(spec(advise=True))[0]
    events: list[dict[str, Any]] = []

    run_probe(command, events.append)

    (record,) = [made(event["record"], AdviceRecord) for event in events]
    assert record.text.startswith("What can move in Sequential\n\n")
    assert "2.weight" in record.text
