"""Multi-head attention: the projections inside ``F.multi_head_attention_forward`` made visible."""

from types import FunctionType
from typing import Any

from torch.nn import functional as F

_function: Any = F.multi_head_attention_forward

# The function hands itself over whole to whoever watches, so that nobody sees what happens inside.
# This is the same function; only, it does not ask.
_body = FunctionType(
    _function.__code__,
    {**_function.__globals__, "has_torch_function": lambda _: False},
    _function.__name__,
    _function.__defaults__,
)


def multi_head_attention(*args: Any, **kwargs: Any) -> Any:
    """``F.multi_head_attention_forward``, packed or with separate projections."""
    return _body(*args, **kwargs)
