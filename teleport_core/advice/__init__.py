"""What can move in a model before anything does: free dimensions by batch size and by tau."""

from teleport_core.advice.advice import Advice, LayerAdvice
from teleport_core.advice.advise import advise

__all__ = ["Advice", "LayerAdvice", "advise"]
