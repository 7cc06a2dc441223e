"""Processor time: what this process was given, whatever else the machine did meanwhile.

It leaves out every moment in which the process waited, so it stands beside wall time and never in
its place. Only for one thread on the CPU: of several it is the sum.
"""

from time import process_time


class ProcessorClock:
    """Processor seconds of this process, user and system."""

    name = "processor"

    def mark(self) -> float:
        """The seconds used so far."""
        return process_time()

    def seconds(self, start: float, end: float) -> float:
        """Processor time between two marks."""
        return end - start
