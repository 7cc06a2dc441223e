"""The problem a teleport works on: a model, a loss and one batch, seen as a function of parameters.

Conventions used in the whole package: weights are [out, in], activations [batch, ..., features],
representation matrices [features, columns] as in the null-space paper (Eq. 8-10).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from teleport_core.forward.arguments import arguments, copied, tensors_of
from teleport_core.forward.substitution import substituted
from teleport_core.phases import UPDATE
from teleport_core.torch_private import fill_flat_weights, without_checkpoints

Parameters = dict[str, Tensor]
LossFn = Callable[[Any, Any], Tensor]


@dataclass(frozen=True)
class Problem:
    """A loss as a function of the parameters of a model, on one fixed batch.

    Attributes:
        model: any module; its buffers are never written by the methods below.
        loss_fn: ``loss_fn(model_output, targets)`` returns a scalar tensor.
        by_task: whether it returns one value per task in its place, [tasks]; ``loss`` is their
            mean.
        inputs: a tuple (positional arguments), a mapping (keyword arguments) or one argument: a
            tensor, or whatever holds some. The model gets a copy.
        targets: passed on to ``loss_fn``.
        own: ``parameters``, where whoever made the problem knows that none is exchanged; they are
            looked for all over the model each time otherwise.
        copies: present values of parameters in memory of their own, where whoever made the problem
            has some already; they may be kept, and are not to be written.
    """

    model: nn.Module
    loss_fn: LossFn
    inputs: Any
    targets: Any
    own: dict[str, nn.Parameter] | None = field(default=None, compare=False, repr=False)
    by_task: bool = field(default=False, kw_only=True)
    copies: Parameters = field(default_factory=dict, compare=False, repr=False)

    def modules(self) -> list[nn.Module]:
        """The model, and the loss where it is a module."""
        return [one for one in (self.model, self.loss_fn) if isinstance(one, nn.Module)]

    def parameters(self) -> dict[str, nn.Parameter]:
        """All parameters by name, a shared one once."""
        return dict(self.model.named_parameters()) if self.own is None else self.own

    def detached(self) -> Parameters:
        """The present values, sharing storage with the model."""
        return {name: p.detach() for name, p in self.parameters().items()}

    def copy(self) -> Parameters:
        """The present values in memory of their own."""
        return {name: value.clone() for name, value in self.detached().items()}

    def kept(self, names: Iterable[str]) -> Parameters:
        """The same of some, to be kept and not to be written: ``copies`` where there are any."""
        own = self.detached()
        return {n: self.copies[n] if n in self.copies else own[n].clone() for n in names}

    def counted(self) -> list[str]:
        """Names of the parameters whose gradients make up the objective."""
        return [name for name, p in self.parameters().items() if p.requires_grad]

    def leaves(self, parameters: Mapping[str, Tensor]) -> Parameters:
        """The same values, of which those that count ask for a gradient, and none has a hook."""
        counted = set(self.counted())
        return {n: v.detach().requires_grad_(n in counted) for n, v in parameters.items()}

    def output(self, parameters: Mapping[str, Tensor] | None = None) -> Any:
        """Run the model at ``parameters`` (default: its own); its buffers end as they began."""
        values = parameters if parameters is not None else {}
        own = self.parameters() if values else {}
        stays = nullcontext() if parameters is None else _weights_stay_in_place(self.model)
        with stays, without_checkpoints(), substituted(self.model, own, values):
            # Of a copy, as a model may write into its inputs.
            args, keywords = arguments(self.inputs)
            if len(args) == 1:
                return self.model(copied(args[0]))
            args, keywords = copied((args, keywords))
            return self.model(*args, **keywords)

    def loss(self, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """The scalar loss at ``parameters`` (default: the model's own)."""
        return self.loss_of(self.output(parameters))

    def loss_of(self, output: Any) -> Tensor:
        """The scalar loss of an output of the model."""
        losses = self.losses_of(output)
        return losses.mean() if self.by_task else losses

    def losses_of(self, output: Any) -> Tensor:
        """What ``loss_fn`` says of an output; buffers of a loss end as they began."""
        loss_fn = self.loss_fn
        if not isinstance(loss_fn, nn.Module) or not self._loss_has_buffers:
            return loss_fn(output, self.targets)
        with substituted(loss_fn, {}, {}):
            loss: Tensor = loss_fn(output, self.targets)
            return loss

    @cached_property
    def _loss_has_buffers(self) -> bool:
        return isinstance(self.loss_fn, nn.Module) and any(True for _ in self.loss_fn.buffers())

    def tensors(self) -> list[Tensor]:
        """Every tensor among the inputs."""
        return tensors_of(self.inputs)

    def write(self, parameters: Mapping[str, Tensor]) -> None:
        """Copy values into the model's own ``nn.Parameter`` objects; they stay the same objects."""
        own = self.parameters()
        with UPDATE, torch.no_grad():
            for name, value in parameters.items():
                own[name].copy_(value)

    def write_buffers(self, buffers: Mapping[str, Tensor]) -> None:
        """Copy values into the model's own buffers; they stay the same tensors."""
        own = dict(self.model.named_buffers()) if buffers else {}
        with UPDATE, torch.no_grad():
            for name, value in buffers.items():
                own[name].copy_(value)


@contextmanager
def _weights_stay_in_place(model: nn.Module) -> Iterator[None]:
    """On CUDA a recurrent layer copies weights it has not seen into one buffer of cuDNN's."""
    # What shared their storage, the model or our copies, would then no longer do so.
    recurrent = [module for module in model.modules() if isinstance(module, nn.RNNBase)]
    if not recurrent:
        yield
        return
    with torch.backends.cudnn.flags(enabled=False):
        try:
            yield
        finally:
            for module in recurrent:
                fill_flat_weights(module)
