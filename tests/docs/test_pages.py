"""Every block of Python in the documentation runs as it stands, page by page."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from small_problems import classification
from torch import nn
from torch.utils.data import TensorDataset

import teleport_core

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {
    page.relative_to(DOCS).as_posix(): re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
    for page in sorted(DOCS.rglob("*.md"))
}
# These have tests of their own, which execute them and look at what comes of it.
LOOKED_AT = {
    *("cost.md", "level_set.md", "notebooks.md", "objectives.md", "own_layer.md", "own_models.md"),
    *("rescale.md", "training_loop.md"),
}


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    store = dist.FileStore(str(tmp_path / "store"), 1)
    dist.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture
def names(group: None) -> dict[str, Any]:
    """What a page may take as known; most bring all they need."""
    problem = classification([20, 40, 40, 3], 8, nn.Tanh)
    other = classification([20, 40, 40, 3], 8, nn.Tanh, seed=1)
    data = TensorDataset(torch.randn(64, 20), torch.randint(0, 3, (64,)))
    return {
        "__name__": "page",
        "torch": torch,
        "nn": nn,
        "DataLoader": torch.utils.data.DataLoader,
        "teleport_core": teleport_core,
        "teleport": teleport_core.teleport,
        "model": problem.model,
        "loss_fn": problem.loss_fn,
        "batch": (problem.inputs, problem.targets),
        "inputs": problem.inputs,
        "targets": problem.targets,
        "other": (other.inputs, other.targets),
        "my_data": data,
        "my_heldout_data": data,
    }


@pytest.mark.parametrize(
    "page",
    [name for name, blocks in PAGES.items() if blocks and name not in LOOKED_AT],
)
def test_blocks_of_the_page_run(
    page: str, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number, block in enumerate(PAGES[page], 1):
        exec(compile(block, f"{page}, block {number}", "exec"), names)


def test_every_fence_says_what_it_is() -> None:
    """Python runs here, commands are commands; a fence of another language is output or data."""
    known = {"python", "text", "toml", "yaml", "json", "bash", "csv", ""}
    for page in DOCS.rglob("*.md"):
        fences = re.findall(r"^```(\S*)", page.read_text(), re.M)
        assert set(fences) <= known, page


def test_pages_of_the_null_space_and_of_the_front_say_what_they_show(
    names: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for block in PAGES["concepts/null_space.md"]:
        exec(block, names)
    assert names["difference"] < 1e-13
    assert names["result"].null_dims["2.weight"] == [49]  # a bias is one more input
    for block in PAGES["index.md"]:
        exec(block, names)
    assert names["result"].grad_norm_sq[-1] > 3.9 * names["result"].grad_norm_sq[0]
