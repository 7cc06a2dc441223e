"""A spec: everything that decides what is run, with its checks, its digest and its TOML."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Self

from bench.errors import SpecError
from bench.seeds import stable_hash
from bench.spec import checks
from bench.spec.axes import AXES, Axis
from bench.spec.pair import Pair
from bench.spec.preservation import Preservation
from bench.spec.problems import WITHOUT_SIZES, address_of, is_problem
from bench.spec.sampling import Sampling
from bench.spec.sections import brought
from bench.spec.toml_text import dump, parse
from bench.spec.variants import Variant, check_variants

DTYPES = ("float32", "float64", "bfloat16")
OWN_DATA = "its own batches"  # what a model of the user's is run on
# What a run is called, how long it may last and where its data lie do not decide its numbers.
WITHOUT_EFFECT = ("preset", "data_dir", "budget")

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")
_MODEL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*|[^:].*:[^\W\d]\w*")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is run; where the results go is not part of it.

    Raises:
        SpecError: a value that cannot be run.
    """

    preset: str  # that it began as; a label only
    base: Mapping[str, int]  # letter -> value while another letter is swept
    axes: tuple[Axis, ...]  # the letters that are swept, one at a time
    variants: tuple[Variant, ...]  # what is timed; ``sgd`` is added to every block by itself
    model: str  # a network or problem by name, ``pkg.module:factory``, ``path/to/file.py:factory``
    dataset: str
    data_dir: str | None = None  # where to look for the data set first
    device: str = "auto"  # or cpu, cuda, cuda:N; "auto" is replaced before a plan is run
    dtype: str = "float32"  # or float64, bfloat16
    bias: bool = False  # whether the layers have biases
    seed: int = 0  # root of all seeds (see ``bench.seeds``)
    threads: int | None = None  # of the CPU; None leaves them to torch
    sampling: Sampling = field(default_factory=Sampling)
    preservation: Preservation = field(default_factory=Preservation)
    letters: tuple[str, ...] = AXES  # that the model takes; a factory may do without some
    budget: float | None = None  # seconds after which no new block is begun
    sections: Mapping[str, Any] = field(default_factory=dict)  # of other packages' measurements

    def __post_init__(self) -> None:
        """Refuse what cannot be run; bring base and axes into the order of ``AXES``."""
        for name in ("preset", "dataset"):
            checks.text(name, getattr(self, name))
        _check_place(self.model, self.device)
        object.__setattr__(self, "model", address_of(self.model))
        checks.choice("dtype", self.dtype, DTYPES)
        checks.flag("bias", self.bias)
        checks.whole("seed", self.seed, at_least=0, at_most=2**63 - 1)
        object.__setattr__(self, "letters", _check_letters(self.letters))
        if self.data_dir is not None:
            checks.text("data_dir", self.data_dir)
        if self.threads is not None:
            checks.whole("threads", self.threads, at_most=4096)
        if self.budget is not None:
            object.__setattr__(self, "budget", checks.number("budget", self.budget, above=0))
        self._check_sweep()

    def _check_sweep(self) -> None:
        object.__setattr__(self, "base", _check_base(self.base))
        checks.distinct("the axes", (axis.name for axis in self.axes))
        ordered = sorted(self.axes, key=lambda axis: AXES.index(axis.name))
        object.__setattr__(self, "axes", tuple(ordered))
        object.__setattr__(self, "variants", check_variants("the methods", self.variants))
        if not (self.variants or self.preservation.pairs or self.sections):
            raise SpecError(
                "expected at least one method; got none: write for example --method nullspace"
            )

    @property
    def swept(self) -> tuple[str, ...]:
        """Letters that take another value than the base's somewhere in the run."""
        return tuple(a.name for a in self.axes if set(a.values) != {self.base[a.name]})

    @property
    def data(self) -> str:
        """The data set by name; a function of the user's brings its own."""
        return OWN_DATA if ":" in self.model else self.dataset

    def digest(self) -> str:
        """16 hex digits over all that decides the results, whatever the order it was written in."""
        facts = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        facts["device"] = device_kind(self.device)
        if not self.sections:
            del facts["sections"]  # as it was before there were any
        if self.letters == AXES:
            del facts["letters"]  # likewise
        return stable_hash({k: v for k, v in facts.items() if k not in WITHOUT_EFFECT})[:16]

    def with_overrides(
        self,
        *,
        axes: tuple[Axis, ...] | None = None,
        variants: tuple[Variant, ...] | None = None,
        **changes: Any,
    ) -> Self:
        """The spec with what a command line names put in place; None keeps what is there.

        The axes given replace all axes of the spec. An axis of one level fixes its letter: it
        becomes the base's value. Preservation is measured at the given level nearest to its own.
        A problem by name, without axes given, is swept over steps and batches alone.
        The variants given are also those whose preservation is measured; a spec that times none
        keeps to that. Of the pairs those stay that have the model and the data set given.

        Raises:
            SpecError: a value that cannot be run.
        """
        wanted = {name: value for name, value in changes.items() if value is not None}
        if "model" in wanted:
            wanted.setdefault("letters", AXES)
        if not axes and is_problem(wanted.get("model")):
            wanted["axes"] = tuple(axis for axis in self.axes if axis.name in WITHOUT_SIZES)
        if axes:
            checks.distinct("the axes", (axis.name for axis in axes))
            fixed = {axis.name: axis.values[0] for axis in axes if len(axis.values) == 1}
            wanted["base"] = {**self.base, **wanted.get("base", {}), **fixed}
            wanted["axes"] = tuple(axis for axis in axes if axis.name not in fixed)
        section = wanted.get("preservation", self.preservation).within(axes or ())
        if variants:
            check_variants("the methods", variants)
            wanted["variants"] = variants if self.variants else ()
            section = replace(section, variants=variants)
        wanted["preservation"] = replace(section, pairs=_matching(section.pairs, wanted))
        return replace(self, **wanted)

    def to_toml(self, command: str) -> str:
        """The text of ``spec.toml``; ``command`` is the command line that repeats the run."""
        tree: dict[str, object] = {"preset": self.preset, "command": command}
        plain = ("model", "dataset", "device", "dtype", "bias", "seed")
        tree |= {name: getattr(self, name) for name in plain}
        tree["data_dir"] = self.data_dir or ""
        tree["threads"] = "auto" if self.threads is None else self.threads
        tree["budget"] = float("inf") if self.budget is None else self.budget
        if self.letters != AXES:
            tree["letters"] = list(self.letters)
        tree["methods"] = [str(variant) for variant in self.variants]
        tree["base"] = self.base
        tree["axes"] = {axis.name: axis.values for axis in self.axes}
        for name in ("sampling", "preservation"):
            section = getattr(self, name)
            tree[name] = {f.name: getattr(section, f.name) for f in fields(section)}
        tree["preservation"] |= {  # type: ignore[operator]
            "variants": [str(variant) for variant in self.preservation.variants],
            "pairs": [asdict(pair) for pair in self.preservation.pairs],
        }
        return dump(tree | {name: asdict(section) for name, section in self.sections.items()})

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read what ``to_toml`` writes, or a preset; keys with a default may be left out.

        Raises:
            SpecError: a mistake in the TOML, an unknown or missing key, a value of a wrong type or
                outside its range.
        """
        tree = parse(text, "a spec")
        tree.pop("command", None)
        sections = _pop_sections(tree)
        _check_keys(tree)
        methods = tree.pop("methods")
        base, axes = tree.pop("base"), tree.pop("axes")
        if not isinstance(axes, dict):
            raise SpecError(f"expected [axes] to be a table; got {checks.shown(axes)}")
        empty = {"data_dir": "", "threads": "auto", "budget": float("inf")}
        values = {k: v for k, v in tree.items() if k not in empty or v != empty[k]}
        for name, kind in (("sampling", Sampling), ("preservation", Preservation)):
            if name in values:
                values[name] = checks.section_of(kind, name, values[name])
        swept = tuple(Axis(name, levels) for name, levels in axes.items())
        return cls(base=base, axes=swept, variants=methods, sections=sections, **values)


_KEYS = (
    "preset",
    "command",
    "methods",
    *(f.name for f in fields(Spec) if f.name not in ("variants", "sections")),
)
_NEEDED = ("preset", "model", "dataset", "methods", "base", "axes")


def device_kind(device: str) -> str:
    """cpu, cuda or auto: ``cuda:1`` is a device of the same kind as ``cuda``."""
    return device.partition(":")[0]


def _pop_sections(tree: dict[str, Any]) -> dict[str, Any]:
    """The sections of other packages' measurements, taken out of a spec's tree."""
    foreign = brought() if any(key not in _KEYS for key in tree) else {}
    names = [name for name in foreign if name in tree and name not in _KEYS]
    return {name: checks.section_of(foreign[name], name, tree.pop(name)) for name in names}


def _matching(pairs: tuple[Pair, ...], wanted: Mapping[str, object]) -> tuple[Pair, ...]:
    """The pairs that a command line names, which must be some; all of them where it names none."""
    named = {key: wanted[key] for key in ("model", "dataset") if key in wanted}
    kept = tuple(p for p in pairs if all(getattr(p, key) == named[key] for key in named))
    if pairs and not kept:
        raise SpecError(
            f"expected one of the preset's pairs, {'; '.join(map(str, pairs))}; got "
            f"{', '.join(f'{key} {value}' for key, value in named.items())}: add it to "
            "[preservation] pairs, or use --preset quick"
        )
    return kept


def _check_keys(tree: Mapping[str, object]) -> None:
    known = list(dict.fromkeys(_KEYS))
    for key in tree:
        if key not in known:
            raise checks.unknown_name("a key of a spec", key, known)
    missing = [key for key in _NEEDED if key not in tree]
    if missing:
        raise SpecError(
            f"expected a spec with the keys {', '.join(_NEEDED)}; got one without "
            f"{', '.join(missing)}: copy the missing lines from a preset"
        )


def _check_place(model: object, device: object) -> None:
    """Refuse a model or device that nothing could be found under."""
    if not isinstance(model, str) or not _MODEL.fullmatch(model):
        raise SpecError(
            f"expected model to be a name such as mlp, pkg.module:factory or "
            f"path/to/file.py:factory; got {checks.shown(model)}"
        )
    if not isinstance(device, str) or not _DEVICE.fullmatch(device):
        raise SpecError(
            f"expected device to be auto, cpu, cuda or cuda:N; got {checks.shown(device)}"
        )


def _check_letters(letters: object) -> tuple[str, ...]:
    """In the order of ``AXES``; t and b are no matter of the model's."""
    given = checks.items("letters", letters)
    for letter in given:
        if letter not in AXES:
            raise checks.unknown_name("a letter of the model", letter, AXES)
    return tuple(letter for letter in AXES if letter in {*given, *WITHOUT_SIZES})


def _check_base(base: object) -> dict[str, int]:
    if not isinstance(base, Mapping):
        raise SpecError(f"expected [base] to be a table; got {checks.shown(base)}")
    for name in base:
        if name not in AXES:
            raise checks.unknown_name("a letter of [base]", name, AXES)
    missing = [letter for letter in AXES if letter not in base]
    if missing:
        raise SpecError(f"expected [base] to give {', '.join(AXES)}; got no {', '.join(missing)}")
    return {letter: checks.whole(f"base.{letter}", base[letter]) for letter in AXES}


def _plain(value: object) -> object:
    """A value as JSON can hold it; lists lose their order, which decides nothing."""
    if isinstance(value, Variant):
        return str(value)
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return sorted((_plain(item) for item in value), key=stable_hash)
    return value
