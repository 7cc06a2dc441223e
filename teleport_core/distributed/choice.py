"""Which of two ways a call across ranks goes, by a rule that depends on no rank's own samples.

``ranks="auto"`` is replicated wherever that is right: it sends the fewest numbers of all, the batch
once and nothing more, and ends bit for bit where one process does. It cannot take a model that
normalizes by statistics of the batch, of which ranks train with those of their own; that goes
sharded, where the method can.
"""

from typing import Literal, NamedTuple

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from teleport_core.distributed.mean_over import splits
from teleport_core.errors import ModelError, OptionError
from teleport_core.interface import Teleporter
from teleport_core.problem import Problem

WAYS = ("auto", "replicated", "sharded")


class Way(NamedTuple):
    """Which, and why."""

    name: Literal["replicated", "sharded"]
    why: str


def way_of(problem: Problem, teleporter: Teleporter, asked: str) -> Way:
    """The way a call goes.

    Raises:
        ModelError: the model normalizes by statistics that neither way, or not that which was
            asked for, can take.
        OptionError: sharded was asked for, and the method or the loss cannot be.
    """
    coupled = coupling_module(problem)
    if coupled is not None and isinstance(coupled[1], nn.SyncBatchNorm):
        raise _refusal(*coupled, "")
    obstacle = _obstacle(problem, teleporter)
    if asked == "sharded":
        if obstacle:
            raise OptionError(
                f"expected a call that can be sharded; {obstacle}, or write ranks='replicated'"
            )
        return Way("sharded", "it was asked for")
    if coupled is None:
        why = "it was asked for" if asked == "replicated" else "it sends the fewest numbers"
        return Way("replicated", why)
    if asked == "replicated" or obstacle:
        raise _refusal(*coupled, f"; it cannot go sharded either: {obstacle}" if obstacle else "")
    return Way("sharded", f"{coupled[0]} normalizes by statistics of each rank's own samples")


def coupling_module(problem: Problem) -> tuple[str, nn.Module] | None:
    """A module by which one sample's output depends on others, and its name."""
    for module in problem.modules():
        for name, one in module.named_modules():
            if by_batch(one):
                return name or "the model", one
    return None


def by_batch(module: nn.Module) -> bool:
    """Whether a module normalizes by statistics of the batch."""
    return isinstance(module, _BatchNorm) and (module.training or module.running_mean is None)


def _obstacle(problem: Problem, teleporter: Teleporter) -> str:
    """Why a call cannot be sharded, and what to write; "" where it can."""
    if teleporter.not_sharded:
        return teleporter.not_sharded
    if not splits(problem.loss_fn):
        return (
            f"nobody knows whether {_named(problem.loss_fn)} couples samples and what its mean "
            "divides by: say so by teleport_core.distributed.MeanOver(loss_fn, count)"
        )
    return ""


def _named(loss_fn: object) -> str:
    return getattr(loss_fn, "__qualname__", type(loss_fn).__name__)


def _refusal(name: str, module: nn.Module, more: str) -> ModelError:
    return ModelError(
        "expected outputs of a sample that depend on no other, as the ranks' batches are put "
        f"together; {name} ({type(module).__name__}) normalizes by statistics of a batch{more}: "
        "call model.eval(), or use another norm"
    )
