"""The networks by name: sizes from the paper, what each axis does, and what is refused."""

import pytest
import torch
from outside_package import write_package
from torch import nn

from bench.entry_points import found
from bench.errors import SpecError
from bench.problems.build import loss_for
from bench.problems.networks import Shape, network_for
from bench.problems.networks.attention import positions
from bench.problems.networks.registry import GROUP, refuse_swept

IMAGES = Shape("images", (3, 32, 32), 10, "classes", d=16, l=4, bias=True)
PHOTOGRAPHS = IMAGES._replace(sample=(3, 64, 64), outputs=200, d=64, l=10)
SERIES = Shape("series", (12, 5), 5, "values", d=128, l=2, bias=True)
PIXELS = SERIES._replace(sample=(20, 1), outputs=10, task="classes")
TEXT = Shape("text", (9,), 30, "tokens", d=128, l=2, bias=True)
VECTORS = Shape("vectors", (7,), 3, "classes", d=8, l=3, bias=True)
FITTING = {"mlp": IMAGES, "cnn": IMAGES, "resnet": PHOTOGRAPHS, "transformer": SERIES}
FITTING |= {"decoder": TEXT, "mlp-16-10": VECTORS}


def made(model, shape):
    torch.manual_seed(0)
    return network_for(model)(shape)


def inputs_of(shape, count=2):
    if shape.task == "tokens":
        return torch.randint(0, shape.outputs, (count, *shape.sample))
    return torch.randn(count, *shape.sample)


def matrices(model):
    """Shapes of the weights, biases and norms left out."""
    return [tuple(p.shape) for p in model.parameters() if p.dim() > 1]


def test_the_cnn_of_the_paper():
    wanted = [(16, 3, 3, 3), (32, 16, 3, 3), (64, 32, 3, 3), (10, 1024)]
    assert matrices(made("cnn", IMAGES)) == wanted


def test_the_residual_network_of_the_paper():
    model = made("resnet", PHOTOGRAPHS)
    channels = [3, 64, 64, 64, 128, 128, 128, 256, 256, 256]
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [c.in_channels for c in convolutions] == channels[:-1]
    assert [c.out_channels for c in convolutions] == channels[1:]
    assert [c.stride[0] for c in convolutions] == [2, 1, 1] * 3
    assert matrices(model)[-1] == (200, 256)


def test_a_block_adds_to_what_it_is_given():
    model = made("resnet", PHOTOGRAPHS)
    block = model[1]
    block.second_norm.weight.data.zero_()  # now the two convolutions add nothing
    x = torch.rand(2, 64, 5, 5)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize(("shape", "outputs"), [(SERIES, 5), (PIXELS, 10)])
def test_the_encoder_of_the_paper(shape, outputs):
    block = [(384, 128), (128, 128), (512, 128), (128, 512)]
    wanted = [(128, shape.sample[1]), *block, *block, (outputs, 128)]
    model = made("transformer", shape)
    assert matrices(model) == wanted
    assert model.blocks[0].attention.heads == 2
    assert made("transformer", shape._replace(d=256)).blocks[0].attention.heads == 4


def test_classes_are_told_from_all_places_and_values_from_the_last():
    # Attention that adds nothing: then the last place is all that the series' head can see.
    for shape, sees_the_first in ((PIXELS, True), (SERIES, False)):
        model = made("transformer", shape)
        for block in model.blocks:
            nn.init.zeros_(block.attention.out.weight)
        x = inputs_of(shape)
        changed = x.clone()
        changed[:, 0] += 1
        assert torch.equal(model(x), model(changed)) is not sees_the_first


def test_the_decoder_of_the_paper():
    block = [(384, 128), (128, 128), (512, 128), (128, 512)]
    model = made("decoder", TEXT)
    assert matrices(model) == [(30, 128), *block, *block, (30, 128)]
    assert model(inputs_of(TEXT)).shape == (2, 9, 30)


def test_the_decoder_does_not_see_what_comes_after():
    model = made("decoder", TEXT)
    tokens = inputs_of(TEXT)
    changed = tokens.clone()
    changed[:, 5] = (tokens[:, 5] + 1) % 30
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


def test_attention_is_that_of_the_paper():
    """Eq. 6-7, written out head by head."""
    attention = made("transformer", SERIES).blocks[0].attention
    x = torch.randn(3, 12, 128)
    query, key, value = attention.packed(x).split(128, dim=2)
    heads = []
    for start in (0, 64):
        q, k, v = (part[..., start : start + 64] for part in (query, key, value))
        heads.append(torch.softmax(q @ k.mT / 8.0, dim=2) @ v)
    torch.testing.assert_close(attention(x), attention.out(torch.cat(heads, dim=2)))


def test_positions_are_those_of_vaswani():
    table = positions(50, 6)
    assert table.shape == (50, 6)
    assert table[7, 2].item() == pytest.approx(torch.sin(torch.tensor(7 / 10000 ** (2 / 6))).item())
    assert table[7, 3].item() == pytest.approx(torch.cos(torch.tensor(7 / 10000 ** (2 / 6))).item())


def test_perceptrons_of_the_paper_by_axes_and_by_name():
    flat = VECTORS._replace(sample=(1, 28, 28), outputs=10)
    large = made("mlp", flat._replace(d=1024, l=3))
    assert matrices(large) == [(1024, 784), (1024, 1024), (10, 1024)]
    assert matrices(made("mlp-16-10", flat)) == [(16, 784), (10, 16), (10, 10)]


@pytest.mark.parametrize("model", FITTING)
def test_every_network_is_deterministic_and_has_biases_only_if_asked(model):
    shape = FITTING[model]
    network = made(model, shape)
    x = inputs_of(shape).flatten(1) if model.startswith("mlp") else inputs_of(shape)
    assert torch.equal(network(x), network(x))
    assert network(x).shape[0] == 2
    assert network(x).shape[-1] == shape.outputs
    plain = made(model, shape._replace(bias=False))
    linear = [m for m in plain.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    assert all(m.bias is None for m in linear)


@pytest.mark.parametrize(
    ("model", "shape", "text"),
    [
        ("mlp", TEXT, "of numbers for --model mlp; text holds text of 9: write --model decoder"),
        ("cnn", SERIES, "of images for --model cnn; series holds sequences of 12 x 5: write for"),
        ("cnn", IMAGES._replace(l=1), "expected l from 2 to 6 for --model cnn on images, .* l=1"),
        ("cnn", IMAGES._replace(l=7), "each of its l - 1 poolings halves images of 32 x 32; got"),
        ("resnet", VECTORS, "of images for --model resnet; vectors holds vectors of 7"),
        ("resnet", IMAGES._replace(l=5), "l = 4, 7, 10, .* got l=5: write .*--axis l=4"),
        ("resnet", IMAGES._replace(l=3), "got l=3: write for example --axis l=4"),
        ("resnet", IMAGES._replace(l=19), "expected l <= 16 for --model resnet on images"),
        ("transformer", IMAGES, "images holds images of 3 x 32 x 32: .* --dataset sequential-mn"),
        ("transformer", TEXT, "text holds text of 9: write for example --model decoder"),
        ("transformer", SERIES._replace(d=100), "multiple of 64 .* got d=100: .* d=64"),
        ("transformer", SERIES._replace(d=33), "an even d up to 64 .* got d=33: .* d=32"),
        ("decoder", SERIES, "of text for --model decoder; series holds .*: .* --dataset ptb"),
        ("decoder", TEXT._replace(d=200), "multiple of 64 .*decoder.*; got d=200: .* d=192"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_write(model, shape, text):
    with pytest.raises(SpecError, match=text):
        made(model, shape)


@pytest.mark.parametrize("suggested", [("cnn", 6), ("resnet", 4), ("resnet", 16)])
def test_the_largest_depths_that_messages_name_can_be_built(suggested):
    model, layers = suggested
    assert made(model, IMAGES._replace(l=layers))(inputs_of(IMAGES)).shape == (2, 10)


@pytest.mark.parametrize("name", ["vgg", "cnn-16", "MLP", ""])
def test_unknown_names_list_the_known_ones(name):
    with pytest.raises(SpecError, match="a model to be one of mlp, cnn, resnet, transformer, dec"):
        network_for(name)


def test_widths_have_to_be_numbers():
    with pytest.raises(SpecError, match=r"hidden widths after mlp, .* got 'mlp-a': .* mlp-16-10"):
        network_for("mlp-a")


def test_a_network_of_an_outside_package_is_built_by_its_name(monkeypatch, tmp_path):
    source = (
        "from torch import nn\ndef build(shape):\n    return nn.Linear(shape.d, shape.outputs)\n"
    )
    entries = {GROUP: {"one-layer": "outside_network:build"}}
    write_package(tmp_path, "outside_network", source, entries)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert made("one-layer", IMAGES).out_features == IMAGES.outputs


def test_sizes_in_a_name_cannot_be_swept():
    for letter in ("d", "l"):
        with pytest.raises(SpecError, match=f"no axis {letter} with --model mlp-16-10, .*: write"):
            refuse_swept("mlp-16-10", ("t", letter))
    refuse_swept("mlp-16-10", ("t", "n", "b"))
    for model in found(GROUP):
        refuse_swept(model, ("d", "l"))


def test_losses():
    scores = torch.randn(2, 4, 6)
    targets = torch.randint(0, 6, (2, 4))
    chosen = scores.log_softmax(2).gather(2, targets[..., None])
    torch.testing.assert_close(loss_for("tokens")(scores, targets), -chosen.mean())
    torch.testing.assert_close(loss_for("values")(scores, scores + 2), torch.tensor(4.0))
    torch.testing.assert_close(
        loss_for("classes")(scores[:, 0], targets[:, 0]), -chosen[:, 0].mean()
    )
