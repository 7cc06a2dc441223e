"""The command line as a user types it."""

import csv
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from bench.cli.measuring.carried import Carrying

ROOT = Path(__file__).parents[3]

FACTORY = """
    import torch
    from torch import nn
    from torch.nn import functional as F

    def factory(d, n, l, seed):
        layers = [nn.Linear(20, d), nn.LeakyReLU(0.1)]
        for _ in range(l - 2):
            layers += [nn.Linear(d, d), nn.LeakyReLU(0.1)]
        model = nn.Sequential(*layers, nn.Linear(d, 3))
        batches = [(torch.randn(n, 20), torch.randint(0, 3, (n,))) for _ in range(4)]
        return model, F.cross_entropy, batches

    def raises(d):
        raise RuntimeError("no such model today")
"""


@pytest.fixture
def call(command, tmp_path: Path):
    """The command line in a folder that holds a module of the user's."""
    (tmp_path / "mine.py").write_text(textwrap.dedent(FACTORY))
    return command


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


SMALL = ("--preset", "smoke", "--device", "cpu", "--threads", "1", "--quiet")
SWEEP = ("--model", "mine:factory", "--axis", "d=8,12", "--axis", "t=2", "--axis", "n=5")


def test_a_users_own_model_is_swept_from_factory_to_figures(call, tmp_path: Path) -> None:
    out = tmp_path / "run"

    code, printed, errors = call("run", *SMALL, *SWEEP, "--method", "nullspace", "--out", str(out))

    assert code == 0
    assert not errors
    assert printed.strip() == str(out / "report.html")
    runtime = rows(out / "runtime.csv")
    assert {(r["d"], r["method"], r["status"]) for r in runtime} == {
        (d, m, "ok") for d in ("8", "12") for m in ("sgd", "nullspace")
    }
    assert all(float(r["median_s"]) > 0 for r in runtime)
    assert all(r["model"] == "mine:factory" for r in runtime)
    assert len(rows(out / "samples.csv")) == sum(int(r["samples"]) for r in runtime)
    preserved = [r for r in rows(out / "preservation.csv") if float(r["tau"]) == 1.0]
    assert float(preserved[-1]["grad_norm_sq"]) > float(preserved[0]["grad_norm_sq"])
    assert float(preserved[-1]["drift_float64"]) < 1e-5
    assert rows(out / "spectrum.csv")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "mine:factory" in page
    assert "<svg" in page or "data:image" in page
    environment = json.loads((out / "environment.json").read_text())
    assert environment

    # A second run into the same place is refused, and resuming has nothing to do.
    again = ("run", *SMALL, *SWEEP, "--method", "nullspace", "--out", str(out))
    code, _, errors = call(*again)
    assert code == 2
    assert "holds a run: add --resume" in errors
    journal = (out / "journal.jsonl").read_bytes()
    assert call(*again, "--resume")[0] == 0
    assert (out / "journal.jsonl").read_bytes() == journal

    # A journal of another spec is refused.
    code, _, errors = call(*again, "--resume", "--seed", "5")
    assert code == 2
    assert "expected the spec that" in errors
    assert (out / "journal.jsonl").read_bytes() == journal

    # report alone derives the same files.
    before = (out / "report.html").read_bytes()
    assert call("report", str(out))[0] == 0
    assert (out / "report.html").read_bytes() == before


def test_a_factory_that_raises_keeps_its_rows_and_exits_with_4(call, tmp_path: Path) -> None:
    out = tmp_path / "run"

    code, printed, errors = call(
        "run", *SMALL, "--model", "mine:raises", "--axis", "d=8", "--axis", "t=2",
        "--out", str(out),
    )  # fmt: skip

    assert code == 4
    assert "not every cell is fine" in errors
    reasons = (out / "runtime.csv").read_text()
    assert "RuntimeError: no such model today (mine.py, line 15, in raises)" in reasons
    assert {r["status"] for r in rows(out / "runtime.csv")} == {"crashed"}
    assert Path(printed.strip()).is_file()

    # Resuming does not make it fine, and says how to try once more.
    journal = (out / "journal.jsonl").read_bytes()
    code, _, errors = call(
        "run", *SMALL, "--model", "mine:raises", "--axis", "d=8", "--axis", "t=2",
        "--out", str(out), "--resume",
    )  # fmt: skip
    assert code == 4
    assert re.search(r"\d+ failed before and are not measured again; .*journal.jsonl and", errors)
    assert (out / "journal.jsonl").read_bytes() == journal


def test_the_spec_of_a_run_is_a_preset(call, tmp_path: Path) -> None:
    """Resuming by it finds every cell measured: the same cells of the same spec."""
    out = tmp_path / "run"
    arguments = ("--axis", "d=8", "--axis", "t=1", "--method", "identity", "--seed", "3")
    assert call("run", *SMALL, *arguments, "--out", str(out))[0] == 0
    spec = tmp_path / "copy.toml"
    spec.write_bytes((out / "spec.toml").read_bytes())
    journal = (out / "journal.jsonl").read_bytes()

    again = ("run", "--preset", str(spec), "--quiet", "--out", str(out), "--resume")
    assert call(*again)[0] == 0

    assert (out / "journal.jsonl").read_bytes() == journal
    assert call(*again, "--seed", "4")[0] == 2


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("run", "--model resnet", r"expected l = 4, 7, 10.*got l=3: write for example --axis l=4"),
        ("run", "--model mlp-8-10 --axis d=8,16", "expected no axis d with --model mlp-8-10"),
        ("run", "--model mine:raises --axis n=8,16", "expected mine:raises to take 'n'"),
        ("run", "--dataset speech", "expected a data set, one of .*got 'speech'"),
        ("profile", "--model mine.py:nothing", "'mine.py' to define a function 'nothing'"),
    ],
)
def test_what_cannot_be_built_anywhere_is_refused_and_leaves_nothing(
    call, tmp_path: Path, verb: str, arguments: str, message: str
) -> None:
    out = tmp_path / "run"

    code, printed, errors = call(verb, *SMALL, *arguments.split(), "--out", str(out))

    assert code == 2
    assert re.search(message, errors), errors
    assert not printed
    assert not out.exists()


def test_a_run_stopped_before_its_beginning_does_not_promise_a_journal(
    call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.cli.measuring.carried.Runner.environment", stopped)

    code, _, errors = call("run", *SMALL, "--out", str(tmp_path / "run"))

    assert code == 130
    assert "interrupted by SIGINT; nothing was measured" in errors


def test_a_dry_run_says_what_would_be_refused_here(call) -> None:
    code, printed, errors = call("run", *SMALL, "--dry-run", "--dataset", "speech")

    assert code == 2
    assert "mlp on speech" in printed
    assert "here it would be refused: expected a data set, one of" in errors


def test_what_can_be_built_at_one_level_is_run(call, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("--model", "resnet", "--axis", "l=3,4", "--axis", "d=2", "--axis", "n=2")

    code, _, errors = call(
        "run", *SMALL, *arguments, "--axis", "t=1", "--method", "identity", "--out", str(out)
    )

    assert code == 4
    assert "skipped; the reasons are in the report" in errors
    assert {(r["l"], r["status"]) for r in rows(out / "runtime.csv")} == {
        ("3", "skipped"), ("4", "ok"),
    }  # fmt: skip


BAD = {
    "unknown preset": (["run", "--preset", "quik"], "quik.*did you mean"),
    "unknown axis": (["run", "--axis", "w=1,2"], "expected .*w"),
    "negative": (["run", "--axis", "d=-3"], "d=-3|-3"),
    "steps of zero": (["run", "--axis", "t=0"], "t.*0"),
    "reserved": (["run", "--method", "sgd"], "sgd.*reserved|reserved"),
    "variant": (["run", "--method", "nullspace:tau"], "expected OPTION=VALUE"),
    "device": (["run", "--device", "tpu"], "expected device to be auto, cpu, cuda or cuda:N"),
    "dtype": (["run", "--dtype", "float16"], "expected dtype to be one of"),
    "model": (["run", "--model", ":f"], "expected model to be a name such as mlp"),
    "resume nothing": (["run", "--resume"], "expected --out with --resume"),
    "resume nowhere": (["run", "--resume", "--out", "no"], "to name a run; no holds none"),
    "no spec": (["run", "--preset", "no.toml"], "expected a spec in no.toml; .*name a preset"),
    "no journal": (["report", "nowhere"], "expected a journal at"),
    "budget": (["run", "--budget", "-1"], "expected budget"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_usage_is_one_message_and_exit_code_2(call, name: str) -> None:
    import re

    arguments, text = BAD[name]

    code, _, errors = call(*arguments)

    assert code == 2
    assert re.search(text, errors)
    assert "Traceback" not in errors
    assert len(errors.strip().splitlines()) <= 3


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    call, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")

    code, _, errors = call("run", *SMALL, "--out", str(tmp_path / "file" / "run"))

    assert code == 2
    assert "expected to write into" in errors
    assert "choose another --out" in errors


def test_a_damaged_journal_is_named(call, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text('{"schema": 1\n{"schema": 1, "kind": "cell"}\n')

    code, _, errors = call("report", str(tmp_path))

    assert code == 2
    assert "expected JSON on line 1" in errors


def test_what_a_report_leaves_out_of_the_journal_is_said(call, tmp_path: Path) -> None:
    foreign = '{"schema": 1, "kind": "magic"}\n'
    (tmp_path / "journal.jsonl").write_text(foreign + '{"schema": 1, "ki')

    code, printed, errors = call("report", str(tmp_path))

    assert code == 0
    assert printed.strip() == str(tmp_path / "report.html")
    assert "line 2 was cut short" in errors
    assert "1 of the kind magic" in errors
    assert "environment.json" not in errors


def test_dry_run_prints_the_plan_and_touches_nothing(call, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())

    code, printed, _ = call("run", "--preset", "paper", "--dataset", "digits", "--dry-run")

    assert code == 0
    assert "points" in printed
    assert "cells" in printed
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("samples", "least"), [(3, 3), (40, 7)])
def test_samples_are_as_many_as_asked_for(
    call, monkeypatch: pytest.MonkeyPatch, samples: int, least: int
) -> None:
    seen = []
    monkeypatch.setattr(Carrying, "carry_out", lambda _, spec, *__, **___: seen.append(spec))

    assert call("run", "--preset", "smoke", "--samples", samples)[0] == 0
    assert call("run", "--preset", "smoke", "--samples", 0)[0] == 2

    (spec,) = seen
    assert (spec.sampling.min_samples, spec.sampling.max_samples) == (least, samples)


def test_help_names_every_command_in_plain_text() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        env={"PATH": "", "NO_COLOR": "1"},
    )

    assert all(command in done.stdout for command in ("run", "report", "data", "env"))
    assert "\x1b[" not in done.stdout
