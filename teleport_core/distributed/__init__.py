"""Teleports in a group of processes that hold replicas of one model; docs/across_ranks.md."""

from teleport_core.distributed.choice import WAYS
from teleport_core.distributed.full import full
from teleport_core.distributed.group import LOCAL, ProcessGroup, group_of
from teleport_core.distributed.mean_over import MeanOver
from teleport_core.distributed.replicated import across

__all__ = ["LOCAL", "WAYS", "MeanOver", "ProcessGroup", "across", "full", "group_of"]
