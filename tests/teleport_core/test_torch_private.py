"""Private names of torch: all here, doing what they are used for, and used from one file alone."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from teleport_core import torch_private

ROOT = Path(__file__).parents[2]
PRESENT = ".".join(torch.__version__.split(".")[:2])
# Of torch's own modules: what is not promised.
PRIVATE = re.compile(
    r"torch\._|torch\.utils\._|_DropoutNd|_linear_pointwise|_unsafe_view|_init_flat_weights|"
    r"_foreach_copy_|__globals__"
)


def test_torch_is_one_on_which_they_were_tried() -> None:
    if PRESENT not in torch_private.TRIED:
        pytest.skip(
            f"torch {PRESENT} is not among {', '.join(torch_private.TRIED)}, on which the private "
            "names of teleport_core/torch_private.py were tried: where all other tests pass, "
            f"add {PRESENT!r} to TRIED there"
        )


def private_lines(source: str) -> list[str]:
    return [line for line in source.splitlines() if PRIVATE.search(line)]


def test_no_other_file_of_core_uses_one() -> None:
    files = [*(ROOT / "teleport_core").rglob("*.py"), *(ROOT / "baselines").rglob("*.py")]
    found = {
        path.name: private_lines(path.read_text())
        for path in files
        if path.name != "torch_private.py" and private_lines(path.read_text())
    }

    assert found == {}
    assert len(private_lines((ROOT / "teleport_core/torch_private.py").read_text())) > 5
    assert private_lines("    torch._C._current_graph_task_id()")


def test_the_attributes_that_are_read_are_there() -> None:
    tensor, module = torch.zeros(2, requires_grad=True), nn.Linear(2, 2)

    for name in ("_version", "_base", "_is_view", "_backward_hooks"):
        assert hasattr(tensor, name), name
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    for name in ("_modules", "_parameters", *hooks):
        assert isinstance(getattr(module, name), dict), name
    assert tensor[:1]._base is tensor
    assert module._compiled_call_impl is None


def test_dropout_has_one_parent_with_a_rate() -> None:
    for kind in (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout):
        assert issubclass(kind, torch_private.DropoutNd)
        assert kind(0.25).p == 0.25
    assert not issubclass(nn.Linear, torch_private.DropoutNd)


def test_a_backward_pass_has_a_number_of_its_own() -> None:
    numbers = [torch_private.current_pass()]
    for _ in range(2):
        x = torch.ones(1, requires_grad=True)
        x.register_hook(lambda _: numbers.append(torch_private.current_pass()))
        (2 * x).backward()

    assert numbers[0] == -1  # none is running
    assert len({*numbers}) == 3


def test_many_tensors_are_copied_at_once() -> None:
    targets = [torch.zeros(2), torch.zeros(3)]

    torch_private.copy_all(targets, [torch.ones(2), torch.ones(3)])

    assert all(bool((target == 1).all()) for target in targets)


def test_a_view_without_its_base_shares_memory() -> None:
    whole = torch.arange(4.0)

    part = torch_private.without_base(whole[:2])

    assert part._base is None
    part.add_(1)
    assert whole.tolist() == [1.0, 2.0, 2.0, 3.0]


def test_a_recurrent_layer_finds_a_weight_that_was_put_in_place_of_another() -> None:
    layer = nn.LSTM(2, 3)
    weight = nn.Parameter(torch.zeros_like(layer.weight_ih_l0))
    vars(layer)["_parameters"]["weight_ih_l0"] = weight

    torch_private.fill_flat_weights(layer)

    assert any(own is weight for own in layer._flat_weights)


def test_products_by_onednn_are_products() -> None:
    if torch_private.linear_pointwise is None:
        pytest.skip("this torch was built without oneDNN")
    x, w, c = torch.randn(4, 3), torch.randn(5, 3), torch.randn(4, 5)

    plain = torch_private.linear_pointwise(x, w, None, "none", [], "")
    plus = torch_private.linear_plus_pointwise(x, c, w, None, "add")

    torch.testing.assert_close(plain, x @ w.T)
    torch.testing.assert_close(plus, c + x @ w.T)


def test_attention_seen_through_is_attention() -> None:
    layer = nn.MultiheadAttention(8, 2)
    x = torch.randn(5, 3, 8)
    given = (x, x, x, 8, 2, layer.in_proj_weight, layer.in_proj_bias, None, None, False, 0.0)
    given += (layer.out_proj.weight, layer.out_proj.bias)

    torch.testing.assert_close(
        torch_private.multi_head_attention(*given)[0], F.multi_head_attention_forward(*given)[0]
    )
