"""What can go wrong, as exceptions that say what was expected, what came and what to write instead.

TeleportError
├── OptionError    an unknown method or option, or a value outside its range
├── ProblemError   inputs, targets or a loss function that do not fit together
├── ModelError     a model that this method cannot teleport; the message names the module
└── RankError      another process of the group failed, ended, or asked for something else

TeleportWarning    a promise that the model's outputs did not bear out
"""

import difflib
from collections.abc import Iterable


class TeleportError(Exception):
    """Base of everything this package raises on purpose."""


class OptionError(TeleportError, ValueError):
    """An unknown method or option, or a value outside its range."""


class ProblemError(TeleportError, ValueError):
    """Inputs, targets or a loss function that do not fit together."""


class ModelError(TeleportError, ValueError):
    """A model that the chosen method cannot teleport."""


class RankError(TeleportError, RuntimeError):
    """Another process of the group failed, ended, or asked for something else."""


class TeleportWarning(UserWarning):
    """A promise that the model's own outputs did not bear out; the result says so, too."""


UNSEEN_USE = (
    "a parameter is used where nobody can see it, such as in a torch.autograd.Function, in a "
    "gradient taken inside the forward pass or in a loss_fn that reads parameters: use "
    "engine='textbook', or take that part out of model and loss"
)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> OptionError:
    """Build the error for a misspelt name, with the nearest known one as the suggestion."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return OptionError(f"expected {kind} to be one of {', '.join(choices)}; got {name!r}{hint}")
