"""Loss-preserving teleportation of neural network weights."""

from teleport_core.advice import Advice, advise
from teleport_core.errors import (
    ModelError,
    OptionError,
    ProblemError,
    RankError,
    TeleportError,
    TeleportWarning,
)
from teleport_core.interface import State, Teleporter
from teleport_core.problem import Problem
from teleport_core.registry import available, make
from teleport_core.results import Guarantee, Seconds, Status, TeleportResult
from teleport_core.teleport import teleport
from teleport_core.training import Schedule, Teleports

__all__ = [
    "Advice",
    "Guarantee",
    "ModelError",
    "OptionError",
    "Problem",
    "ProblemError",
    "RankError",
    "Schedule",
    "Seconds",
    "State",
    "Status",
    "TeleportError",
    "TeleportResult",
    "TeleportWarning",
    "Teleporter",
    "Teleports",
    "advise",
    "available",
    "make",
    "teleport",
]
