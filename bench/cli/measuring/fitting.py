"""A sweep made to fit a model of the user's: axes it takes, methods that can move it."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from bench.errors import RunError, SpecError
from bench.plan.points import Point
from bench.process.protocol import Message
from bench.process.worker import WorkerGoneError
from bench.spec.axes import AXES
from bench.spec.checks import distinct, number
from bench.spec.problems import WITHOUT_SIZES
from bench.spec.spec import Spec
from bench.spec.variants import Variant

TAU = "tau"

Ask = Callable[[Message], Iterable[Message]]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Fit:
    """What of a spec nobody asked for by name, and so may be left out.

    Attributes:
        axes: those of the preset that the model does not take.
        methods: those of the preset that cannot move it.
        taus: thresholds at which every method that has one is timed and followed.
    """

    axes: bool
    methods: bool
    taus: tuple[float, ...] = ()


def split_taus(axes: list[str] | None) -> tuple[list[str], tuple[float, ...]]:
    """The axes of a command line, and the levels of ``tau=1,.99,.9`` among them, descending.

    Raises:
        SpecError: a level outside (0, 1], or one given twice.
    """
    written = [text for text in axes or () if text.partition("=")[0].strip() == TAU]
    if not written:
        return axes or [], ()
    distinct("the axes", [TAU for _ in written])
    words = written[0].partition("=")[2].split(",")
    levels = [number("a level of axis tau", _value(word), above=0, at_most=1) for word in words]
    distinct("axis tau", levels)
    return [text for text in axes or () if text not in written], tuple(sorted(levels)[::-1])


def _value(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        raise SpecError(
            f"expected levels of axis tau in (0, 1]; got {word.strip()!r}: write for example "
            "tau=1,.99,.9"
        ) from None


def fitted(spec: Spec, fit: Fit, ask: Ask, say: Say) -> Spec:
    """The spec with what fits the model; ``say`` hears a line on each thing that was left out.

    Raises:
        RunError: no method of the preset can move it.
    """
    if ":" not in spec.model and not fit.taus:
        return spec
    found = _looked(spec, ask)
    spec = _with_letters(spec, fit, found, say)
    if "network" in found:
        say(f"{spec.model} is {found['network']}, {found['parameters']:,} parameters")
    if found.get("note"):
        say(f"note: {found['note']}")
    if fit.methods:
        spec = _with_methods(spec, found.get("refused", {}), say)
    return _with_taus(spec, fit.taus, found["thresholds"]) if fit.taus else spec


def _looked(spec: Spec, ask: Ask) -> dict[str, Any]:
    """What a worker finds out; what it cannot is missing, and the run itself will say why."""
    place: dict[str, Any] = {name: getattr(spec, name) for name in ("model", "device", "dtype")}
    place |= spec.base
    variants = dict.fromkeys(map(str, (*spec.variants, *spec.preservation.variants)))
    command = {
        "do": "look",
        "point": asdict(Point(**place, dataset=spec.data)),
        "variants": list(variants),
        **{name: getattr(spec, name) for name in ("seed", "bias", "data_dir", "threads")},
    }
    found: dict[str, Any] = {"thresholds": {}}
    try:
        for message in ask(command):
            if message["event"] == "looked":
                found |= message
    except WorkerGoneError:  # so will the worker that builds it to be measured
        pass
    return found


def _with_letters(spec: Spec, fit: Fit, found: dict[str, Any], say: Say) -> Spec:
    if "letters" not in found:
        return spec
    letters = (*found["letters"], *WITHOUT_SIZES)
    out = [axis.name for axis in spec.axes if axis.name not in letters]
    if fit.axes and out:
        say(f"{spec.model} takes no {', '.join(out)}: not swept")
        spec = replace(spec, axes=tuple(axis for axis in spec.axes if axis.name in letters))
    return replace(spec, letters=tuple(letter for letter in AXES if letter in letters))


def _with_methods(spec: Spec, refused: dict[str, str], say: Say) -> Spec:
    for reason in dict.fromkeys(refused.values()):
        alike = ", ".join(variant for variant, why in refused.items() if why == reason)
        say(f"left out: {alike}: {reason}")
    kept = tuple(each for each in spec.variants if str(each) not in refused)
    if spec.variants and not kept:
        raise RunError(
            f"expected a method that can move {spec.model}; none of the preset's can: name one "
            "with --method, 'teleport-bench methods' lists them"
        )
    section = spec.preservation
    followed = tuple(each for each in section.variants if str(each) not in refused)
    enabled = section.enabled and bool(followed)
    section = replace(section, variants=followed, enabled=enabled)
    return replace(spec, variants=kept, preservation=section)


def _with_taus(spec: Spec, taus: tuple[float, ...], thresholds: dict[str, str]) -> Spec:
    """Every variant with a threshold at each level; 1, the exact null space, is none of its own."""
    if not thresholds:
        raise SpecError(
            "expected a method with a threshold for --axis tau; got "
            f"{', '.join(map(str, spec.variants))}: use for example --method nullspace"
        )

    def at(variant: Variant, tau: float) -> Variant:
        option = {} if tau == 1 else {thresholds[str(variant)]: tau}
        return Variant(variant.method, {**variant.options, **option})

    levels = {each: taus if str(each) in thresholds else (1.0,) for each in spec.variants}
    variants = [at(each, tau) for each, own in levels.items() for tau in own]
    section = replace(spec.preservation, taus=taus)
    return replace(spec, variants=tuple(variants), preservation=section)
