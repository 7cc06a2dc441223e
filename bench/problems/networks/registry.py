"""Networks by name: ours, and those that other packages register.

    [project.entry-points."teleport_bench.networks"]
    NAME = "package.module:build"

where ``build(shape: Shape) -> nn.Module`` draws its weights from torch's generator.
"""

from collections.abc import Sequence

from bench.entry_points import found, load
from bench.errors import SpecError
from bench.problems.networks.mlp import with_widths
from bench.problems.networks.network import Build
from bench.spec.checks import unknown_name
from bench.spec.problems import GROUP as PROBLEMS

GROUP = "teleport_bench.networks"


def network_for(model: str) -> Build:
    """The function that builds a network.

    Raises:
        SpecError: an unknown name.
        RegistrationError: an entry that cannot be imported.
    """
    networks = found(GROUP)
    if model in networks:
        build: Build = load(networks[model])
        return build
    if model.startswith("mlp-"):
        return with_widths(model)
    problems = found(PROBLEMS)
    known = (*networks, *problems, "mlp-16-10 (widths of your own)", "pkg.module:factory")
    raise unknown_name("a model", model, known)


def takes_vectors(model: str) -> bool:
    """Whether it is a perceptron, which is given flat samples."""
    return model == "mlp" or model.startswith("mlp-")


def refuse_swept(model: str, letters: Sequence[str]) -> None:
    """Refuse to sweep the sizes of a network whose name fixes them; SpecError: d or l is swept."""
    for letter in letters:
        if model.startswith("mlp-") and letter in ("d", "l"):
            raise SpecError(
                f"expected no axis {letter} with --model {model}, whose widths are in its name: "
                f"write --model mlp, or drop --axis {letter}=..."
            )
