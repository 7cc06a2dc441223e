"""The sections of the page: entries of the group ``teleport_bench.sections``, ours among them."""

from bench.entry_points import found, load
from reports.sections.section import Section
from reports.text.backend import unread_backend

GROUP = "teleport_bench.sections"


def sections() -> list[Section]:
    """Every section that is installed, in the order of the page.

    Raises:
        bench.errors.RegistrationError: one cannot be imported, or two have one name.
    """
    with unread_backend():
        made: list[Section] = [load(point)() for point in found(GROUP).values()]
    return sorted(made, key=lambda section: (section.order, section.name))
