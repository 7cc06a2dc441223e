"""Problems by name: functions as ``--model pkg.module:factory`` names them, under a short name.

    [project.entry-points."teleport_bench.problems"]
    NAME = "package.module:factory"

The factory brings its own model, loss and batches, so that no data set is read, and sizes as well:
unless axes are asked for it is swept over steps and batches alone.
"""

from functools import cache

from bench.entry_points import found

GROUP = "teleport_bench.problems"

WITHOUT_SIZES = ("t", "b")


def address_of(model: str) -> str:
    """The address behind the name of a problem; any other model as it is.

    Raises:
        RegistrationError: two packages use one name.
    """
    return _addresses().get(model, model)


def is_problem(model: object) -> bool:
    """Whether this is the name of one."""
    return model in _addresses()


@cache
def _addresses() -> dict[str, str]:
    """Looked up once, as every spec asks and no package comes meanwhile."""
    return {name: point.value for name, point in found(GROUP).items()}
