"""What ``python -m bench`` says where a package is missing."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("module", "name"), [("msgspec", "msgspec"), ("tomli_w", "tomli-w")])
def test_a_missing_package_is_one_sentence(module, name):
    code = (
        f"import sys, runpy; sys.modules[{module!r}] = None; sys.argv[1:] = ['--help'];"
        "runpy.run_module('bench', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"lacks {name}: pip install {name}, or" in done.stderr
    assert "`make wheels`" in done.stderr
    assert done.stderr.count("\n") == 1
