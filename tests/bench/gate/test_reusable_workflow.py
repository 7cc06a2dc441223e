"""The step of the reusable workflow, run with a gate that notes how it was called."""

import os
import subprocess
import textwrap
from pathlib import Path

import pytest
from source_trees import ROOT

WORKFLOW = (ROOT / ".github" / "workflows" / "gate.yml").read_text()
STEP = textwrap.dedent(
    WORKFLOW.partition("- name: Gate\n")[2].partition("run: |\n")[2].partition("      - uses")[0]
)


def step(folder: Path, code: int, **variables: str) -> tuple[int, list[str], str]:
    """Exit code of the step, what the gate was called with, and what was printed."""
    gate = folder / "teleport-bench"
    gate.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {folder}/called\nexit {code}\n')
    gate.chmod(0o755)
    given = {
        "MODEL": "src/acme/m.py:f",
        "BASE": "HEAD^1",
        "STORE": "",
        "ARGUMENTS": "",
        **variables,
    }
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEP],
        env={**os.environ, **given, "PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (folder / "called").read_text().splitlines(), done.stdout


def test_it_gates_the_model(tmp_path):
    wanted = ["gate", "--base", "HEAD^1", "--model", "src/acme/m.py:f", "--out", "runs/gate"]

    assert step(tmp_path, 0)[:2] == (0, wanted)
    more = step(tmp_path, 0, STORE="a store", ARGUMENTS="--method nullspace")[1]
    assert more == [*wanted, "--store", "a store", "--method", "nullspace"]


@pytest.mark.parametrize("code", [1, 2, 4, 5, 70])
def test_exit_codes_fail_the_step(tmp_path, code):
    assert step(tmp_path, code)[0] == code


def test_what_is_not_comparable_passes_with_a_warning(tmp_path):
    code, _, printed = step(tmp_path, 3)

    assert code == 0
    assert "::warning::Not compared with HEAD^1" in printed


def test_no_input_is_pasted_into_the_gates_script():
    assert "${{" not in STEP
    assert STEP.startswith("code=0\n")
