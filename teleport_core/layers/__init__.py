"""Which weights of a model may move, whatever its architecture.

``find_layers`` watches one forward pass. ``register`` and ``use`` teach it a layer of your own;
see docs/own_layer.md.
"""

from teleport_core.layers.discovery import Layers, find_layers, linear_layers
from teleport_core.layers.layer import Layer
from teleport_core.layers.linear import LINEAR
from teleport_core.layers.operator import Operator, is_weight, use
from teleport_core.layers.registry import register

__all__ = [
    "LINEAR",
    "Layer",
    "Layers",
    "Operator",
    "find_layers",
    "is_weight",
    "linear_layers",
    "register",
    "use",
]
