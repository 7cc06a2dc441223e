"""Small models of six other libraries; ``make strangers`` runs ten times as many."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from case import loss_fn, noise
from page import markdown
from rows import append, read
from torch import Tensor, nn
from trial import Row, Traces, drift, trial

SOME = {
    "torch_geometric": ("GAT", "ChebConv", "RGCNConv", "MFConv", "SchNet", "HGTConv"),
    "peft": ("lora on llama", "dora on bert", "vera on bert", "prefix on llama"),
    "transformers": ("LlamaForCausalLM", "T5ForConditionalGeneration", "MambaForCausalLM"),
    "diffusers": ("UNet2DModel, no attention", "DiTTransformer2DModel", "AutoencoderKL"),
    "torchvision": ("vit, small", "feature pyramid"),
    "timm": ("resnet18 (train)", "lcnet_050"),
}
WELL = ("exact", "no growth", "no null space", "no ascent", "refused")


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of the libraries; what a call warns of is in the row
@pytest.mark.parametrize(("library", "model"), [(k, name) for k, v in SOME.items() for name in v])
def test_a_strangers_model_ends_well_and_shows_no_trace(library: str, model: str) -> None:
    if not find_spec(library):
        pytest.skip(f"{library} is not installed; make strangers installs it")
    from table import cases

    row = trial(model, cases(library)[model])

    assert row.outcome in WELL, row.sentence
    assert not row.faults


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 32), nn.Linear(32, 3)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.a(x).tanh())


def test_a_trial_of_a_model_of_our_own() -> None:
    row = trial("net", lambda: (Net(), noise(4, 5)))

    assert (row.outcome, row.status, row.faults) == ("exact", "DONE", "")
    assert row.drift < 1e-12
    assert row.growth > 0
    assert min(row.step, row.prepare, row.call, row.memory, row.sgd_ms) > 0


def test_what_is_no_error_of_ours_is_raw(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: nn.Module, *_: object, **__: object) -> None:
        model.a.weight.data += 1
        raise KeyError("middle")

    monkeypatch.setattr("teleport_core.teleport", broken)

    row = trial("net", lambda: (Net(), noise(4, 5)))

    assert (row.outcome, row.sentence, row.faults) == ("raw", "KeyError: 'middle'", "values")


def test_a_model_that_fails_by_itself_is_not_ours() -> None:
    row = trial("net", lambda: (Net(), noise(4, 6)))

    assert row.outcome == "fails by itself"
    assert row.sentence.startswith("RuntimeError: mat1 and mat2")


def test_every_trace_is_seen() -> None:
    def left(change: object) -> list[str]:
        model = nn.Sequential(Net(), nn.Linear(3, 3))
        traces = Traces(model)
        change(model)
        return traces.faults()

    def other_object(model: nn.Module) -> None:
        model[0].b.weight = nn.Parameter(model[0].b.weight.detach().clone())

    assert left(lambda model: None) == []
    assert left(other_object) == ["objects"]
    assert left(lambda model: model[0].calls.add_(1)) == ["buffers"]
    assert left(lambda model: model[0].eval()) == ["modes"]
    assert left(lambda model: model[1].requires_grad_(False)) == ["requires_grad"]
    assert left(lambda model: model.zero_grad()) == ["grad"]
    assert left(lambda model: loss_fn(model(noise(2, 5).float()), None).backward()) == [
        "grad",
        "generators",
    ]


def test_places_where_both_outputs_are_infinite_agree() -> None:
    inf = float("inf")
    assert drift([torch.tensor([3.0, -inf, 4.0])], [torch.tensor([3.0, -inf, 9.0])]) == 1.0
    assert drift([torch.tensor([1.0])], [torch.tensor([float("nan")])]) == inf


def test_rows_are_appended_and_read_again(tmp_path: Path) -> None:
    row = Row("timm", "a, b", outcome="refused", sentence="two\nlines", step=1.25)
    append(tmp_path / "rows.csv", row)
    append(tmp_path / "rows.csv", Row("peft", "c", outcome="exact", drift=1e-16))

    first, second = read(tmp_path / "rows.csv")

    assert (first.model, first.sentence, first.step) == ("a, b", "two lines", 1.25)
    assert (second.library, second.drift) == ("peft", 1e-16)


def test_the_page_counts_every_row_and_shows_what_failed() -> None:
    rows = [
        Row("timm", "a", outcome="exact", step=2.0, call=9.0),
        Row("timm", "b|c", outcome="raw", sentence="KeyError: <x>", faults="values"),
        Row("peft", "d", outcome="refused", sentence="expected a weight"),
    ]

    page = markdown(rows, 7)

    assert "| timm | 1 | 0 | 0 | 0 | 0 | 0 | 1 | 0 | 0 | 0 | 0 |" in page
    assert "3 of 7 models were run; 1 left a trace or broke their promise." in page
    assert "| timm | b\\|c | raw | values | KeyError: &lt;x> |" in page
    assert "| step | 2 | 2 | 2 | timm a |" in page
    assert "| peft | d | refused | expected a weight |" in page
