"""Where the time of a few cells goes: traces and phases, a record a cell."""

from bench.plan.points import Plan
from bench.plan.units import Unit
from bench.storage.records import ProfileRecord


class Profile:
    """Measured where it is asked for (see ``bench.plan.profiles``), never by a spec alone."""

    name = "profile"
    settings = None
    records = (ProfileRecord,)
    runs = "bench.worker.untimed:run_profile"

    def units(self, plan: Plan) -> list[Unit]:
        """None."""
        return []


PROFILE = Profile()
