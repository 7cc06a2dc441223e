"""Elementwise activations: sigma, and its inverse where the group action may use it."""

from dataclasses import dataclass
from functools import partial

from torch import nn
from torch.nn import functional as F

from teleport_core.stack import Elementwise, Sigma


@dataclass(frozen=True)
class Activation:
    """One sigma.

    Attributes:
        place: the module it was taken from, for messages.
        forward: sigma, never in place.
        inverse: sigma^-1, or None unless sigma maps R onto R one to one with a bounded inverse
            slope. The 2022 action takes sigma^-1 of g sigma(z), and g carries the values of a
            Tanh, Sigmoid, Softplus or ELU out of their range, whatever the learning rate.
    """

    place: str
    forward: Elementwise
    inverse: Elementwise | None


def no_activation(place: str) -> Activation:
    """The identity between two layers of a linear net."""
    same = nn.Identity().forward
    return Activation(place, same, same)


def activation_of(sigma: Sigma) -> Activation:
    """The activation of a stack."""
    return Activation(sigma.place, sigma.forward, _inverse_of(sigma.module))


def _inverse_of(module: nn.Module) -> Elementwise | None:
    if isinstance(module, nn.LeakyReLU) and module.negative_slope > 0:
        return partial(F.leaky_relu, negative_slope=1 / module.negative_slope)
    return None
