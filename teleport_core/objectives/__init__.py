"""What a teleport climbs: numbers made of the gradient, or of the parameters themselves."""

from teleport_core.objectives.curvature import Curvature
from teleport_core.objectives.sharpness import Sharpness

__all__ = ["Curvature", "Sharpness"]
