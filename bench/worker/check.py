"""Before anything is measured: whether the methods exist, and any point can be built at all."""

from bench.errors import BenchError
from bench.plan.points import Point
from bench.problems.factory import factory_arguments, load_factory
from bench.process.protocol import Message
from bench.spec.variants import parse_variant
from bench.worker.block import built_point
from bench.worker.failures import Emit, reason_of
from teleport_core import OptionError, make


def run_check(command: Message, emit: Emit) -> None:
    """Make every variant; build one place after another until one can be built; say what cannot.

    A function of the user's is found and asked what it takes, and not called: that is done, and
    may fail, where its cells are measured.
    """
    for text in command["variants"]:
        variant = parse_variant(text)
        try:
            make(variant.method, **variant.options)
        except OptionError as error:
            emit({"event": "refused", "reason": reason_of(error)})
            return
    refused: list[BenchError] = []
    for place in [each for each in command["places"] if each["point"]]:
        try:
            _check(place)
        except BenchError as error:
            refused.append(error)
        else:
            return
    if refused:
        emit({"event": "refused", "reason": reason_of(refused[0])})


def _check(place: Message) -> None:
    point = Point(**place["point"])
    if ":" in point.model:
        factory_arguments(point.model, load_factory(point.model), place["swept"] or ())
    else:
        built_point({**place, "swept": place["swept"] or ()})
