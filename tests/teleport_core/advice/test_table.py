"""An advice as text: what a person reads."""

from dataclasses import replace

import pytest
from zoo import build

from teleport_core import Advice, advise
from teleport_core.advice import LayerAdvice
from teleport_core.advice.verdict import percent

TAUS = (1.0, 0.9)


def layer(name: str, free: list[int], more: int = 0, *, data_fed: bool = False) -> LayerAdvice:
    """10 rows of 20 features, with ``free`` dimensions by size, and ``more`` at tau = 0.9."""
    return LayerAdvice(
        name,
        10,
        20,
        data_fed,
        (10,) * len(free),
        tuple((one, one + more) for one in free),
        ((0.0, 0.125),) * len(free),
    )


def of(*layers: LayerAdvice, own: int = 16) -> Advice:
    sizes = (8, 16, 32)
    return Advice("Net", sizes, own, TAUS, layers, {"norm.weight": "used in layer_norm"}, ("So.",))


def test_the_whole_text() -> None:
    found = of(layer("a", [15, 10, 3], 1, data_fed=True), layer("b", [12, 4, 0]), own=16)

    assert str(found) == (
        "What can move in Net\n\n"
        "At 16 samples 10 % of all directions are free to move; from 32 samples on nothing is at "
        "tau = 1: use\nbatches of up to 16 or tau = 0.9, which frees 2.5 % at 32 samples.\n\n"
        "Free dimensions at tau = 1 (exact), by samples in a batch; the loader's is 16\n"
        "weight          rows x features     8    16   32\n"
        "a                       10 x 20    15    10    3  data-fed\n"
        "b                       10 x 20    12     4    0\n"
        "all directions                   30 %  10 %  0 %\n\n"
        "At 16 samples by tau: more free dimensions than at tau = 1, and sigma_{k+1} / sigma_1, "
        "which bounds\nthe change of pre-activations per unit of movement\n"
        "weight                 0.9\n"
        "a               +1 1.2e-01\n"
        "b               +0       0\n"
        "all directions        12 %\n\n"
        "all directions: the share of all entries of these weights, moving rows x free dimensions. "
        "max_drift\nchooses among such taus step by step, by what the loss does. data-fed: fed by "
        "data alone; it moves\nin what tau adds, and not at tau = 1.\n\n"
        "Held\nused in layer_norm: norm.weight\n\nSo."
    )


@pytest.mark.parametrize(
    ("free", "more", "sentence"),
    [
        ([12, 4, 1], 0, "At 16 samples 20 % of all directions are free to move at tau = 1."),
        ([12, 4, 0], 0, "At 16 samples 20 % of all directions are free to move; from 32 samples on "
         "nothing is at tau = 1: use batches of up to 16."),
        ([12, 0, 0], 2, "At 16 samples nothing is free to move at tau = 1: use batches of up to 8 "
         "(60 % free) or tau = 0.9, which frees 10 % at 16 samples."),
        ([0, 0, 0], 2, "At 16 samples nothing is free to move at tau = 1, nor at any smaller size "
         "looked at: use tau = 0.9, which frees 10 % at 16 samples."),
        ([0, 0, 0], 0, "At 16 samples nothing is free to move at tau = 1, nor at any smaller size "
         "looked at: use a wider model."),
    ],
)  # fmt: skip
def test_verdicts(free: list[int], more: int, sentence: str) -> None:
    assert of(layer("a", free, more)).verdict == sentence


def test_without_layers() -> None:
    found = of()

    assert found.verdict.startswith("Nothing can move")
    assert str(found).splitlines()[4:6] == ["Held", "used in layer_norm: norm.weight"]


def test_data_fed_layers_count_with_what_tau_adds() -> None:
    found = of(layer("a", [15, 10, 3], 1, data_fed=True))

    assert found.share(16) == 0
    assert found.share(16, 0.9) == 1 / 20


def test_blocks_of_one_weight_are_one_line() -> None:
    found = of(layer("conv", [15, 10, 3]), layer("conv", [15, 9, 4]), layer("b", [1, 1, 1]))

    line = next(one for one in str(found).splitlines() if one.startswith("conv"))

    assert line.split() == ["conv", "(2", "blocks)", "10", "x", "20", "15", "9-10", "3-4"]


def test_a_layer_without_samples_has_dashes() -> None:
    one = layer("rare", [15, 10, 3])
    unseen = replace(one, moving=(0, 0, 10), free=(None, None, (3, 3)), bound=(None, None, (0, 0)))

    lines = [line.split() for line in str(of(unseen)).splitlines() if line.startswith("rare")]

    assert lines == [["rare", "10", "x", "20", "-", "-", "3"], ["rare", "-"]]


def test_long_names_lose_their_beginning() -> None:
    name = f"model.{'inner.' * 20}weight"

    lines = [one for one in str(of(layer(name, [15, 10, 3]))).splitlines() if "inner" in one]

    assert [len(line) for line in lines] == [100, 100]
    for line in lines:
        short = line.split()[0]
        assert short.startswith("...")
        assert name.endswith(short[3:])


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("name", ["gpt2", "cross-attention", "lstm", "depthwise-separable"])
def test_real_ones_fit_into_a_hundred_columns(name: str) -> None:
    problem = build(name)

    text = str(advise(problem.model, problem.loss_fn, (problem.inputs, problem.targets)))

    assert max(map(len, text.splitlines())) <= 100
    assert not any(line.endswith(" ") for line in text.splitlines())


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1e-6, "< 0.1 %"), (0.012, "1.2 %"), (0.714, "71 %"), (0.995, "99.5 %"),
     (0.99999, "> 99.9 %"), (1, "100 %")],
)  # fmt: skip
def test_shares(share: float, text: str) -> None:
    assert percent(share) == text
