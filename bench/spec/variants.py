"""A variant: a method together with the options it is run with.

Written ``METHOD`` or ``METHOD:OPTION=VALUE,OPTION=VALUE``, for example ``nullspace`` or
``nullspace:engine=textbook,tau=.99``. A value is true or false, a whole number, a number (inf
included) or else a text. Whether the method exists and knows the option is found out where the
methods are loaded; here only the writing is checked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan

from bench.errors import SpecError
from bench.spec import checks
from bench.spec.checks import shown

Value = str | int | float | bool

_METHOD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_OPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TEXT = re.compile(r"[^\s,=]+")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf")
_MOST_CHARACTERS = 1000


@dataclass(frozen=True, eq=False)
class Variant:
    """A method's name and its options, sorted by name.

    Two variants are equal when their texts are: ``tau=1`` and ``tau=1.0`` differ, as the types do.

    Raises:
        SpecError: a name or value that could not be written, or ``steps``, which is an axis.
    """

    method: str
    options: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what ``parse_variant`` could not read back."""
        if not _METHOD.fullmatch(self.method):
            raise SpecError(
                f"expected a method's name in letters, digits and _ . -; got {shown(self.method)}: "
                "write for example nullspace or nullspace:tau=.99"
            )
        for name, value in self.options.items():
            _check_option(self.method, name, value)
        object.__setattr__(self, "options", dict(sorted(self.options.items())))

    def __str__(self) -> str:
        """The canonical text, which is also the variant's name in journals and tables."""
        options = ",".join(f"{name}={_text(value)}" for name, value in self.options.items())
        return f"{self.method}:{options}" if options else self.method

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Variant) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


# Chosen by the harness while it times, so that every step is carried out.
_NOT_TIMED = ("lr", "cap")


def not_timed(text: str) -> list[str]:
    """The options of a variant's text that have no effect on its times: lr and cap."""
    given = [each.partition("=")[0] for each in text.partition(":")[2].split(",")]
    return [name for name in _NOT_TIMED if name in given]


SGD = Variant("sgd")
"""The pseudo-variant that every block holds: plain SGD steps on the same model and batch."""


def parse_variant(text: str) -> Variant:
    """Read ``nullspace`` or ``nullspace:engine=textbook,tau=.99``.

    Raises:
        SpecError: anything else, or ``sgd``, which the plan adds to every block by itself.
    """
    if len(text) > _MOST_CHARACTERS:
        raise SpecError(f"expected a variant METHOD:OPTION=VALUE,...; got {shown(text)}")
    method, colon, rest = text.partition(":")
    options: dict[str, Value] = {}
    for part in rest.split(",") if colon else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise SpecError(
                f"expected OPTION=VALUE after {method.strip()}:; got {shown(part)} in "
                f"{shown(text)}: write for example nullspace:engine=textbook,tau=.99"
            )
        if name in options:
            raise SpecError(
                f"expected each option once; got {name} twice in {shown(text)}: leave one out"
            )
        options[name] = _value(name, value)
    variant = Variant(method.strip(), options)
    refuse_reserved(variant)
    return variant


def refuse_reserved(variant: Variant) -> None:
    """Raise SpecError for ``sgd``, in any spelling of its options."""
    if variant.method == SGD.method:
        raise SpecError(
            f"expected a teleport method; got {shown(str(variant))}, which is reserved: plain SGD "
            "is added to every block as the reference, so leave it out"
        )


def check_variants(name: str, variants: object) -> tuple[Variant, ...]:
    """Variants as a tuple, each once and none of them reserved; texts are read as variants."""
    found = tuple(_variant(name, entry) for entry in checks.items(name, variants))
    for variant in found:
        refuse_reserved(variant)
    checks.distinct(name, found)
    return found


def _variant(name: str, entry: object) -> Variant:
    return entry if isinstance(entry, Variant) else parse_variant(checks.text(name, entry))


def _value(name: str, text: str) -> Value:
    """The value a text stands for: true, false, a whole number, a number, else the text."""
    lower = text.lower()
    if lower in ("true", "false"):
        return lower == "true"
    if _WHOLE.fullmatch(text):
        return int(text)
    if _NUMBER.fullmatch(lower):
        return float(lower)
    if lower.lstrip("+-") == "nan":
        raise SpecError(f"expected option {name} to be a value; got nan: write a number or inf")
    return text


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int)) else repr(value)


def _check_option(method: str, name: object, value: object) -> None:
    """Refuse an option whose text would not be read back as the same value."""
    if not isinstance(name, str) or not _OPTION.fullmatch(name):
        raise SpecError(
            f"expected an option of {method} to be a name in letters, digits and _; "
            f"got {shown(name)}"
        )
    if name == "steps":
        raise SpecError(
            f"expected {method} without the option steps, which is the axis t; "
            f"got steps={shown(value)}: write for example --axis t=8"
        )
    if isinstance(value, str):
        writable = bool(_TEXT.fullmatch(value)) and value.isprintable()
        good = writable and isinstance(_value(name, value), str)
    elif isinstance(value, int):
        good = abs(value) < 10**18
    else:
        good = isinstance(value, float) and not isnan(value)
    if not good:
        raise SpecError(
            f"expected option {name} of {method} to be true, false, a number or a text without "
            f"blanks, commas and =; got {shown(value)}"
        )
