"""``teleport-bench profile`` and ``run --profile`` as a user types them."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.plan.points import make_plan
from bench.plan.profiles import Detail, base_blocks, profile_units
from bench.spec.axes import parse_axis
from bench.spec.preset import load_preset
from bench.spec.variants import parse_variant
from bench.storage.journal import Journal, read
from bench.storage.records import ProfileRecord, cells_of, made
from bench.worker import untimed

Call = Callable[..., tuple[int, str, str]]

FACTORY = """
import torch
from torch import nn
from torch.nn import functional as F

class Picky(nn.Sequential):
    def forward(self, x):
        if not isinstance(self[0].weight, nn.Parameter):
            raise ValueError("not today")
        return super().forward(x)

def factory(d, n):
    model = Picky(nn.Linear(6, d), nn.Tanh(), nn.Linear(d, 3))
    return model, F.cross_entropy, [(torch.randn(n, 6), torch.randint(0, 3, (n,)))]
"""
NORMED = """
import torch
from torch import nn

def factory(n):
    model = nn.Sequential(nn.Linear(6, 16), nn.LayerNorm(16), nn.Tanh(), nn.Linear(16, 3))
    batches = [(torch.randn(n, 6), torch.randint(0, 3, (n,))) for _ in range(2)]
    return model, nn.functional.cross_entropy, batches
"""
SMALL = ("--preset", "smoke", "--device", "cpu", "--threads", "1")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_profile_writes_traces_tables_and_a_page(command: Call, tmp_path: Path) -> None:
    out = tmp_path / "run"
    methods = ("--method", "nullspace:engine=textbook", "--method", "symmetry")

    code, printed, errors = command(
        "profile", *SMALL, *methods, "--axis", "d=12", "--out", str(out)
    )

    assert code == 0
    assert printed.splitlines()[-1] == str(out / "report.html")
    assert f"tensorboard --logdir {out}/profiles/tensorboard" in errors
    cells = rows(out / "profile.csv")
    assert [(c["variant"], c["d"], c["status"]) for c in cells] == [
        (variant, "12", "ok") for variant in ("sgd", "nullspace:engine=textbook", "symmetry")
    ]
    assert len(list((out / "profiles" / "tensorboard").iterdir())) == 3
    for cell in cells:
        assert (out / cell["raw_trace"]).is_file()
        (copy,) = (out / cell["tensorboard"]).iterdir()
        assert copy.name == "cpu_0.pt.trace.json.gz"
        assert float(cell["unwatched_s"]) > 0
        assert float(cell["operations_share"]) > 0
        assert float(cell["bytes_share"]) > 0
    phases = rows(out / "profile_phases.csv")
    for cell in cells:
        own = [p for p in phases if p["cell_id"] == cell["cell_id"]]
        assert sum(float(p["self_s"]) for p in own) == pytest.approx(float(cell["seconds"]))
    assert "pseudo-inverse" in {p["phase"] for p in phases if p["variant"] == "symmetry"}
    names = {row["operator"] for row in rows(out / "profile_operators.csv")}
    assert {"aten::mm", "aten::linalg_svd"} <= names
    assert "symmetry" in printed
    assert "pseudo-inverse" in printed
    environment = json.loads((out / "environment.json").read_text())
    assert environment["copy_bytes_per_s"] > 1e6
    assert environment["matmul_flop_per_s"] > 1e6

    # A directory that holds a run is not written into.
    journal = (out / "journal.jsonl").read_bytes()
    code, _, errors = command("profile", *SMALL, "--out", str(out))
    assert code == 2
    assert "choose another directory, or profile that run's base point with" in errors
    assert (out / "journal.jsonl").read_bytes() == journal


def test_methods_of_a_preset_that_cannot_move_a_model_are_left_out(
    command: Call, tmp_path: Path
) -> None:
    (tmp_path / "normed.py").write_text(NORMED)
    model = ("--model", f"{tmp_path / 'normed.py'}:factory")

    code, printed, errors = command("profile", *SMALL, *model, "--out", str(tmp_path / "run"))

    assert code == 0
    assert "left out: symmetry: expected a stack" in errors
    assert {cell["variant"] for cell in rows(tmp_path / "run" / "profile.csv")} == {
        "sgd",
        "nullspace",
    }
    assert "t=2 n=8" in printed
    assert " l=" not in printed


def test_run_with_profile_adds_the_base_point_once(command: Call, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("run", *SMALL, "--quiet", "--method", "nullspace", "--axis", "d=12,16")
    arguments = (*words, "--axis", "t=2", "--axis", "n=6", "--out", str(out))

    assert command(*arguments, "--profile")[0] == 0
    before = (out / "journal.jsonl").read_bytes()
    assert command(*arguments, "--profile", "--resume")[0] == 0
    assert (out / "journal.jsonl").read_bytes() == before

    found = [r for r in read(out / "journal.jsonl") if isinstance(r, ProfileRecord)]
    assert [(r.variant, r.d, r.status) for r in found] == [
        ("sgd", 16, "ok"),
        ("nullspace", 16, "ok"),
    ]
    timed = {r.cell_id for r in cells_of(read(out / "journal.jsonl"))}
    assert {r.cell_id for r in found} <= timed
    shares = [row["operations_share"] for row in rows(out / "runtime.csv")]
    assert len(shares) == 4
    assert all(float(share) > 0 for share in shares)
    assert str(found[1].raw_trace) in (out / "report.html").read_text()


def profiled(run: Path, **changes: Any) -> dict[str, tuple[str, str]]:
    """Status and reason of every cell, profiled by the worker's command in this process."""
    here = plan(**changes)
    (unit,) = profile_units(here, base_blocks(here), run, Detail(), [])
    events: list[dict[str, Any]] = []
    untimed.run_profile(unit.command, events.append)
    records = [event["record"] for event in events if event["event"] == "record"]
    assert [r["of"] for r in records] == [len(records)] * len(records)
    return {r["variant"]: (r["status"], r["reason"]) for r in records}


def test_a_cell_that_fails_leaves_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "picky.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    variants = tuple(map(parse_variant, ("nullspace:engine=textbook", "identity")))

    found = profiled(tmp_path, model="picky:factory", variants=variants)

    assert found == {
        "sgd": ("ok", ""),
        "nullspace:engine=textbook": (
            "crashed",
            "ValueError: not today (picky.py, line 9, in forward)",
        ),
        "identity": ("ok", ""),
    }


def test_a_cell_that_cannot_take_every_step_says_so(tmp_path: Path) -> None:
    crowded = tuple(map(parse_axis, ("n=32", "d=8")))

    found = profiled(tmp_path, axes=crowded, variants=(parse_variant("nullspace"),))

    status, reason = found["nullspace"]
    assert status == "invalid"
    assert reason.startswith("0 of 2 steps were carried out (NO_")
    assert reason.endswith("so its phases are not those of the full work")


@pytest.mark.parametrize("preset", ["spectrum", "train-quick", "probe-quick"])
def test_a_preset_that_times_nothing_has_nothing_to_profile(
    command: Call, tmp_path: Path, preset: str
) -> None:
    code, printed, errors = command("profile", "--preset", preset, "--method", "nullspace")

    assert (code, printed) == (2, "")
    assert f"{preset} times none, so that there is nothing to profile" in errors
    assert not [*tmp_path.iterdir()]


def test_a_grid_is_refused_before_anything_is_recorded(command: Call, tmp_path: Path) -> None:
    out = tmp_path / "run"

    code, _, errors = command("profile", *SMALL, "--axis", "d=8:64:+8", "--out", str(out))

    assert code == 2
    assert "expected at most 16 cells to profile, sgd among them; got 24" in errors
    assert "name fewer --method or levels of --axis" in errors
    assert not out.exists()


def test_a_failed_cell_gives_exit_code_4_and_a_cut_trace_a_word(
    command: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting = {"model": "mlp", "dataset": "digits", "device": "cpu", "dtype": "float32"}
    cell = {"kind": "profile", "method": "identity", "variant": "identity", **setting}
    cell |= {"t": 2, "d": 16, "n": 8, "l": 3, "b": 1, "reason": ""}
    traced = {
        "calls": 3,
        "call_s": 1.0,
        "launched": 1.0,
        "launched_in_steps": 1.0,
        "memory_peaks": {},
    }
    traced |= {"device_busy": None, "phases": [], "operators": []}
    whole = {
        "status": "ok",
        "seconds": 0.5,
        "unwatched_s": 0.5,
        "raw_trace": "profiles/raw/a",
        "tensorboard": "profiles/tensorboard/a",
    }
    whole |= {"phases": [{"phase": "other", "calls": 0, "self_s": 0.5, "total_s": 0.5}]}
    note = "TensorBoard gets 2 of 3 steps, because more would pass 50 MB"

    def carried_out(_spec: Any, where: Path, *_: Any, **__: Any) -> None:
        where.mkdir()
        with Journal(where / "journal.jsonl") as journal:
            journal.append({**cell, **whole, "cell_id": "1", "traced": traced, "note": note})
            journal.append({**cell, "cell_id": "2", "status": "oom"})

    monkeypatch.setattr("bench.cli.measuring.profile.carry_out_profiles", carried_out)

    code, printed, errors = command("profile", *SMALL, "--out", str(tmp_path / "run"))

    assert code == 4
    assert f"identity: {note}" in errors
    assert "not every cell could be profiled; the reasons are in the report" in errors
    assert "500.000 ms  100.0 %" in printed


def test_too_few_active_calls_are_refused(command: Call) -> None:
    code, _, errors = command("profile", *SMALL, "--active", "2")

    assert code == 2
    assert "greater than or equal to 3" in " ".join(errors.split())


def plan(**changes: Any) -> Any:
    return make_plan(load_preset("smoke").with_overrides(device="cpu", **changes))


def test_the_base_point_is_what_a_run_profiles() -> None:
    swept = plan()

    (block,) = base_blocks(swept)

    assert block.point.letters() == {"t": 2, "d": 16, "n": 8, "l": 3, "b": 1}
    assert len(swept.blocks) > 1


def test_what_is_profiled_already_is_not_profiled_again(tmp_path: Path) -> None:
    swept = plan()
    (unit,) = profile_units(swept, base_blocks(swept), tmp_path, Detail(), [])
    facts = {**unit.base, "status": "ok", "of": 3}
    records = [made({**facts, "cell_id": cell_id}, ProfileRecord) for cell_id in "abc"]

    (rest,) = profile_units(swept, base_blocks(swept), tmp_path, Detail(), records[:2])
    assert (rest.unit, rest.command) == (unit.unit, {**unit.command, "done": ["a", "b"]})
    assert profile_units(swept, base_blocks(swept), tmp_path, Detail(), records) == []
    other = Detail(stacks=True)
    assert profile_units(swept, base_blocks(swept), tmp_path, other, records) != []
