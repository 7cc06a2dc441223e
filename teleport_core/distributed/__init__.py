"""Teleports in a group of processes that hold replicas of one model; docs/across_ranks.md."""

from teleport_core.distributed.group import LOCAL, ProcessGroup, group_of
from teleport_core.distributed.replicated import across

__all__ = ["LOCAL", "ProcessGroup", "across", "group_of"]
