"""``teleport-bench probe`` as a user types it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.errors import RunError
from bench.measurements.units import make_units
from bench.plan.points import make_plan
from bench.runner.runner import Runner
from bench.spec.preset import load_preset
from bench.storage.journal import read
from bench.storage.probe_records import ProbeRecord

Call = Callable[..., tuple[int, str, str]]

SMALL = {"epochs = [0, 2]": "epochs = [0]", "[1, 10, 100]": "[1, 2]", "lrs = []": "lrs = [0.1]"}


@pytest.fixture
def call(command: Call) -> Call:
    return partial(command, "probe")


def test_a_probe_ends_with_a_table_a_verdict_and_a_page(call: Call, tmp_path: Path) -> None:
    from bench.spec import preset

    text = (preset._FOLDER / "probe-quick.toml").read_text(encoding="utf-8")
    for old, new in SMALL.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "small.toml").write_text(text, encoding="utf-8")
    what = ("--seeds", "1", "--growth", "2", "--axis", "d=16", "--axis", "n=4", "--axis", "t=2")

    code, out, _ = call(
        *("--preset", "small.toml", *what, "--optimizer", "sgd, adam", "--method", "nullspace"),
        *("--advise", "--out", "here"),
    )

    lines = out.splitlines()
    assert code == 0
    assert lines[0] == "What can move in Sequential"
    assert "2.weight                16 x 16" in out
    verdicts = [line for line in lines if line.startswith("UNDECIDED for ")]
    assert [line.split()[2] for line in verdicts] == ["sgd:", "adam:"]
    assert lines[-1] == str(Path("here") / "report.html")
    records = [r for r in read(tmp_path / "here" / "journal.jsonl") if isinstance(r, ProbeRecord)]
    assert [(r.optimizer, r.variant) for r in records] == [
        ("sgd", "plain"), ("sgd", "nullspace:growth=2.0"),
        ("adam", "plain"), ("adam", "nullspace:growth=2.0"),
    ]  # fmt: skip
    assert [table.optimizer for table in records if table.move_s] == ["sgd", "adam"]
    assert (tmp_path / "here" / "probe.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--optimizer", "sgdd"), "did you mean 'sgd'?"),
        (("--method", "nullspace:tau"), "expected OPTION=VALUE after nullspace:"),
        (("--growth", "1"), "to be a number > 1; got 1.0"),
        (("--seeds", "0"), "expected probe.seeds to be a whole number"),
        (("--preset", "quick"), "a preset with the section [probe]; quick has none"),
        (("--axis", "d=16,32"), "expected one level of each letter; got d=16,32"),
        (("--resume",), "expected --out with --resume"),
    ],
)
def test_bad_input_is_one_sentence(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = call(*arguments)

    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert not [*tmp_path.iterdir()]


def test_the_methods_of_a_probe_are_checked_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan = make_plan(load_preset("probe-quick"))
    asked: list[dict[str, Any]] = []

    def ask(command: dict[str, Any]) -> list[dict[str, Any]]:
        asked.append(command)
        return [{"event": "refused", "reason": "no such method"}]

    runner = Runner(SimpleNamespace())  # type: ignore[arg-type]
    monkeypatch.setattr(runner, "_worker", SimpleNamespace(ask=ask))

    with pytest.raises(RunError, match="no such method"):
        runner.check(plan.spec, make_units(plan, []))

    assert "nullspace:growth=16.0" in asked[0]["variants"]
    assert asked[0]["places"][0]["point"]["b"] == 32
