"""How the gradients of several tasks become one direction: by name, those of other packages too.

    [project.entry-points."teleport_bench.combiners"]
    NAME = "package.module:function"

where ``function(G)`` takes the gradients [tasks, parameters] of what the tasks share and returns
the direction [parameters] that is subtracted. A loss that is a scalar needs none.
"""

from bench.entry_points import found
from bench.spec import checks

GROUP = "teleport_bench.combiners"
MEAN = "mean"


def check_combiner(name: str, value: object) -> str:
    """The name of a combiner; SpecError: there is none of that name."""
    return checks.choice(name, checks.text(name, value), tuple(found(GROUP)))
