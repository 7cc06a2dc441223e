"""A notebook that is executed: a live model, its table and its figure in the output."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[3]

BUILD = """
import torch
from torch import nn

torch.manual_seed(0)
hidden = 48  # closed over: no other process could be handed this model
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, hidden), nn.Linear(hidden, hidden)
        self.c = nn.Linear(hidden, 3)
    def forward(self, x):
        return self.c(torch.tanh(self.b(torch.tanh(self.a(x)))))
model = Net()
batches = [(torch.randn(8, 8), torch.randint(0, 3, (8,))) for _ in range(2)]
"""
MEASURE = """
import bench

found = bench.measure(
    model, nn.functional.cross_entropy, batches, methods=["nullspace", "rescale"], steps=2
)
found
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_live_model_is_measured_in_a_notebook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (BUILD, MEASURE, "print(repr(found))")]
    )

    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()

    _, measured, said = notebook.cells
    (shown,) = measured.outputs
    assert shown.output_type == "execute_result"
    page = shown.data["text/html"]
    assert ">nullspace</td>" in page
    assert "whole call, in SGD steps" in page
    assert "data:image/svg+xml," in page
    assert "rescale: expected units" in page
    assert said.outputs[0].text.startswith("Measured(Net, 2,931 parameters, cpu, float32; a call")
    assert len(said.outputs[0].text.splitlines()) == 1
