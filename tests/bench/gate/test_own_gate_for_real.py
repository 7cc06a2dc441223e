"""A planted loop in a repository of the user's, with the real worker and the real clock."""

import subprocess
import sys

import pytest
from source_trees import ROOT, call, git
from toy_repository import change, commit

FORWARD = "        return self.out(self.inner(x).relu())\n"
SLOW_FORWARD = f"        for _ in range(400):\n            self.inner(x)\n{FORWARD}"
LAYERS = f"""\
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(32, 32)
        self.out = nn.Linear(32, 4)

    def forward(self, x):
{FORWARD}"""
MODELS = """\
import torch
from torch.nn import functional as F

from .layers import Block


def factory():
    return Block(), F.cross_entropy, [(torch.randn(16, 32), torch.randint(0, 4, (16,)))]
"""


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "acme-models"
    (root / "src" / "acme").mkdir(parents=True)
    git(tmp_path, "init", "--quiet", str(root))
    files = {"__init__": "", "layers": LAYERS, "models": MODELS}
    commit(root, **{f"src/acme/{name}.py": text for name, text in files.items()})
    return root


def gate(repository, *words) -> subprocess.CompletedProcess[str]:
    chosen = ("--model", "src/acme/models.py:factory", "--method", "nullspace")
    return call(
        repository,
        *(sys.executable, "-P", "-m", "bench", "gate", "--base", "HEAD", *chosen, *words),
        PYTHONPATH=str(ROOT),
    )


@pytest.mark.long
def test_a_planted_loop_is_slower_and_nothing_is_not(repository):
    same = gate(repository, "--min-effect", "9")
    assert same.returncode == 0, same.stdout + same.stderr
    assert "2 cells: 2 same" in same.stdout

    change(repository, **{"src/acme/layers.py": LAYERS.replace(FORWARD, SLOW_FORWARD)})
    slower = gate(repository)
    assert slower.returncode == 1, slower.stdout + slower.stderr
    assert "2 cells: 2 slower. Regression (exit 1)" in slower.stdout
