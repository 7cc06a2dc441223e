"""Pictures of descents on test functions: figures 1 to 3 of the papers that teleport on them."""

from reports.test_functions.figures import Landscape, draw

__all__ = ["Landscape", "draw"]
