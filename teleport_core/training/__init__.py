"""Teleports in a training loop: when, on which batches, and what becomes of the optimizer."""

from teleport_core.training.call import Teleports
from teleport_core.training.lookahead import Lookahead
from teleport_core.training.optimizer_state import transport
from teleport_core.training.schedule import Schedule

__all__ = ["Lookahead", "Schedule", "Teleports", "transport"]
