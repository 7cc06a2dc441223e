"""What ``python -m bench`` says where a package is missing."""

import subprocess
import sys
from pathlib import Path

import pytest
from outside_package import write_package

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("module", "name"), [("msgspec", "msgspec"), ("tomli_w", "tomli-w")])
def test_a_missing_package_is_one_sentence(module, name):
    code = (
        f"import sys, runpy; sys.modules[{module!r}] = None; sys.argv[1:] = ['--help'];"
        "runpy.run_module('bench', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"lacks {name}: pip install {name}, or" in done.stderr
    assert "`make wheels`" in done.stderr
    assert done.stderr.count("\n") == 1


def test_two_packages_with_one_name_are_one_sentence(tmp_path, monkeypatch):
    entries = {"teleport_bench.datasets": {"digits": "outside_digits:OTHER"}}
    monkeypatch.setenv("PYTHONPATH", str(write_package(tmp_path, "outside_digits", "", entries)))
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", "--help"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("teleport-bench: expected one entry 'digits' in")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("error", ["ValueError", "OSError", "EOFError", "KeyError", "MemoryError"])
def test_a_fault_of_ours_never_has_the_code_of_a_regression(error):
    done = with_env_that_raises(error)
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("teleport-bench: a fault of teleport-bench")


def test_output_that_nobody_reads_ends_as_the_signal_would():
    assert with_env_that_raises("BrokenPipeError").returncode == 141


def with_env_that_raises(error):
    code = (
        "import bench.cli.looking.env as env, sys\n"
        f"def broken(): raise {error}('planted')\n"
        "broken.__name__ = 'env'; env.env = broken\n"
        "sys.argv[1:] = ['env']\n"
        "from bench.__main__ import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=ROOT, capture_output=True, text=True
    )
