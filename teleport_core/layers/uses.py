"""The two words in which adapters speak; outside a watched forward pass they mean nothing special.

``use(operator, x, weight, bias)`` says: here the weight meets an input through this operator.
``is_weight(tensor)`` asks whether a tensor is a parameter, or a view of one, that is watched.
"""

from torch import Tensor
from torch.overrides import wrap_torch_function

from teleport_core.layers.operator import Operator


@wrap_torch_function(lambda operator, x, weight, bias=None: (x, weight, bias))
def use(operator: Operator, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Z = A(x, weight) + bias, a use of the weight in which it may move."""
    return operator.forward(x, weight, bias)


@wrap_torch_function(lambda tensor: (tensor,))
def is_weight(tensor: Tensor) -> bool:
    """Whether ``tensor`` is a watched parameter or a view of one."""
    del tensor
    return False
