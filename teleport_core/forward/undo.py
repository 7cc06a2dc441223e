"""What a call has to put back: always what is not the weights', after an error everything."""

import torch

from teleport_core.forward.arguments import tensors_of
from teleport_core.forward.belongings import Belongings
from teleport_core.forward.generators import generators_of
from teleport_core.interface import State
from teleport_core.problem import Problem
from teleport_core.torch_private import function_modes, leave_function_modes


class Undo:
    """Everything a call may touch, as it is now.

    Attributes:
        own: what the model, the loss and the targets hold.
        generators: what they may draw from.
        state: of the method, once it has one: what it wrote.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._depth = function_modes()
        self._modes = (torch.is_grad_enabled(), torch.backends.mha.get_fastpath_enabled())
        self.own = Belongings(problem.modules(), tensors_of(problem.targets))
        self.generators = generators_of(problem)
        self.state: State | None = None

    def settle(self) -> None:
        """Put everything back but what moved."""
        names = self.state.buffers if self.state is not None else {}
        buffers = self._problem.model.named_buffers() if names else ()
        self.own.put_back(moved=[buffer for name, buffer in buffers if name in names])
        self.generators.put_back()

    def everything(self) -> None:
        """Put everything back, bit for bit."""
        leave_function_modes(self._depth)  # an interrupt may have come just when one was to end
        if self.state is not None:
            self.state.restore(self._problem)
        self.own.put_all_back()
        self.generators.put_back()
        # An interrupt may have come just when these were about to be put back.
        torch.set_grad_enabled(self._modes[0])
        torch.backends.mha.set_fastpath_enabled(self._modes[1])
