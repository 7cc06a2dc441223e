"""Whose model it is: this process's alone, or a replica that a whole group holds."""

import sys
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from teleport_core.errors import ModelError, OptionError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup as Group

    ProcessGroup = Group | Literal["local"] | None
else:
    Group = ProcessGroup = Any

LOCAL = "local"


def group_of(process_group: ProcessGroup) -> "Group | None":
    """The group to teleport with; None where this process is on its own.

    Raises:
        OptionError: there are several processes and nobody said whose model it is, or what was
            said is no group that this process is in.
    """
    # A process in a group has imported it; any other is spared the time that takes.
    dist = sys.modules.get("torch.distributed")
    if dist is not None and not (dist.is_available() and dist.is_initialized()):
        dist = None
    if process_group is None:
        if dist is not None and dist.get_world_size() > 1:
            raise OptionError(
                f"expected process_group in a group of {dist.get_world_size()} processes; got "
                "none: write process_group=torch.distributed.group.WORLD for a model that all of "
                "them hold, or process_group='local' for one that is this process's own"
            )
        return None
    if isinstance(process_group, str) and process_group == LOCAL:
        return None
    if dist is None or not isinstance(process_group, dist.ProcessGroup):
        raise OptionError(
            "expected process_group to be None, 'local' or a torch.distributed.ProcessGroup that "
            f"this process is in; got {process_group!r}"
        )
    return process_group if process_group.size() > 1 else None


def unwrapped(model: nn.Module, group: "Group") -> nn.Module:
    """What DistributedDataParallel wraps; any other model as it is.

    Raises:
        ModelError: the wrapper keeps processes together that are not in the group.
    """
    if not isinstance(model, nn.parallel.DistributedDataParallel):
        return model
    from torch.distributed import get_process_group_ranks

    its, ours = (set(get_process_group_ranks(one)) for one in (model.process_group, group))
    if not its <= ours:
        raise ModelError(
            "expected process_group to hold every process of the model's own group, "
            f"{sorted(its)}; got {sorted(ours)}, which leaves the others behind: pass "
            "process_group=model.process_group"
        )
    inner: nn.Module = model.module
    return inner
