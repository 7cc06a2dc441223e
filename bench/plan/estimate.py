"""How long a plan will take, roughly: closed-form operation counts divided by a guessed rate.

For planning and for the plan's text only. Nothing measured is ever compared with these numbers:
they leave out what libraries, caches and machines do, and may be wrong by a factor of three. The
exact counts of what a method does are ``teleport_core.operations``'s.

Letters: a weight layer maps i inputs to o outputs, n samples at once. One SGD step costs 6 n i o
a layer: forward, and backward to inputs and to weights, 2 n i o each.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

from bench.spec.settings import Preservation, Sampling
from bench.spec.variants import SGD, Variant

Layers = list[tuple[int, int]]

FEATURES = {"digits": 64, "mnist": 784, "fashion-mnist": 784, "cifar-10": 3072}
CLASSES = 10
RATES = {"cpu": 2e10, "cuda": 5e12}  # operations a second; small matrices reach no more
CALL_SECONDS = {"cpu": 6e-6, "cuda": 1e-5}  # one library call, from Python to its return
BLOCK_SECONDS = 0.5  # building the model, drawing batches, evaluating off the clock
START_SECONDS = 10.0  # starting the worker, measuring the spectrum, writing the report
PRESERVATION_SECONDS = 1.0  # one record
# One record of a network that is no perceptron, at the sizes of the preset spectrum.
PAIR_SECONDS = {"cnn": 2.0, "resnet": 10.0, "transformer": 10.0, "decoder": 10.0}
CUDA_START_SECONDS = 10.0


class Cost(NamedTuple):
    """Operations and library calls of preparing one batch and of one step."""

    prepare: float
    prepare_calls: float
    step: float
    step_calls: float


def mlp_layers(letters: Mapping[str, int], features: int) -> Layers:
    """(inputs, outputs) of each weight layer of the sweep's MLP."""
    widths = [features, *[letters["d"]] * (letters["l"] - 1), CLASSES]
    return list(pairwise(widths))


def sgd(layers: Layers, n: int, _: Variant) -> Cost:
    """Three products a layer."""
    return Cost(0, 0, sum(6 * n * i * o for i, o in layers), 12 * len(layers) + 10)


def identity(layers: Layers, n: int, variant: Variant) -> Cost:
    """One forward and backward to prepare, nothing to do in a step."""
    once = sgd(layers, n, variant)
    return Cost(once.step, once.step_calls, 0, 2)


def nullspace(layers: Layers, n: int, variant: Variant) -> Cost:
    """Bases from Gram matrices, then half an SGD step a step; five of them in the textbook's way.

    A threshold below one has to be run in the textbook's way too.
    """
    once = sgd(layers, n, variant)
    basis = sum(2 * i * n * min(i, n) + 25 * min(i, n) ** 3 for i, _ in layers)
    thin = sum(4 * n * i * min(i, n) for i, _ in layers)
    slow = variant.options.get("engine") == "textbook" or variant.options.get("tau", 1) != 1
    calls = 20 * len(layers)
    if slow:
        project = sum(4 * o * i * min(i, n) for i, o in layers)
        basis = sum(40 * i * n * min(i, n) for i, _ in layers)
        return Cost(basis, calls, 5 * once.step + project, 4 * once.step_calls)
    return Cost(once.step + basis, 2 * calls, 0.5 * once.step + thin, calls)


def symmetry(layers: Layers, n: int, variant: Variant) -> Cost:
    """Double backward through (I + T) V and the pseudo-inverse of the hidden activations."""
    once = sgd(layers, n, variant)
    acted = sum(10 * o * o * i + 100 * o * n * min(o, n) for i, o in layers[:-1])
    prepare = sum(40 * i * n * min(i, n) for i, _ in layers)
    return Cost(prepare, 10 * len(layers), 5 * once.step + acted, 120 * len(layers))


def unknown(layers: Layers, n: int, variant: Variant) -> Cost:
    """What is assumed of a method that is not in the table: five SGD steps a step."""
    once = sgd(layers, n, variant)
    return Cost(once.step, once.step_calls, 5 * once.step, 5 * once.step_calls)


COSTS: dict[str, Callable[[Layers, int, Variant], Cost]] = {
    SGD.method: sgd,
    "identity": identity,
    "nullspace": nullspace,
    "symmetry": symmetry,
}


def sample_seconds(variant: Variant, letters: Mapping[str, int], dataset: str, kind: str) -> float:
    """Time of one sample of a cell: b batches of t steps; ``kind`` is cpu or cuda."""
    layers = mlp_layers(letters, FEATURES.get(dataset, 784))
    cost = COSTS.get(variant.method, unknown)(layers, letters["n"], variant)
    operations = cost.prepare + letters["t"] * cost.step
    calls = cost.prepare_calls + letters["t"] * cost.step_calls
    return letters["b"] * (operations / RATES[kind] + calls * CALL_SECONDS[kind])


def block_seconds(round_seconds: float, sampling: Sampling) -> float:
    """Time of a block whose cells together take ``round_seconds`` a round."""
    least = sampling.min_samples * round_seconds
    most = max(least, min(sampling.max_samples * round_seconds, sampling.block_seconds))
    return BLOCK_SECONDS + sampling.warmup * round_seconds + most


def preservation_seconds(settings: Preservation) -> float:
    """Time of the preservation records: one method goes through the thresholds, others run once."""
    if not settings.enabled:
        return 0.0
    records = (len(settings.variants) + len(settings.taus)) * len(settings.starts)
    seconds = [PAIR_SECONDS.get(pair.model, PRESERVATION_SECONDS) for pair in settings.pairs]
    return sum(seconds or [PRESERVATION_SECONDS]) * records
