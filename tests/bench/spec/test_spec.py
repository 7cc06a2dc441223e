"""Specs: checks, digest, overrides, TOML and the presets that come with the harness."""

import subprocess
import sys
import tomllib
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spec_strategies import TEXTS, specs

from bench.errors import SpecError
from bench.spec.axes import Axis
from bench.spec.pair import Pair
from bench.spec.preservation import Preservation
from bench.spec.preset import load_preset, preset_names
from bench.spec.sampling import Sampling
from bench.spec.spec import WITHOUT_EFFECT, Spec
from bench.spec.toml_text import dump
from bench.spec.variants import SGD, Variant


@pytest.fixture
def quick():
    return load_preset("quick")


# Every field has to be classified here: what it is changed to, and whether the results change.
CHANGES = {
    "preset": ("other", False),
    "base": ({"t": 5, "d": 128, "n": 32, "l": 3, "b": 2}, True),
    "axes": ((Axis("d", (64, 128)),), True),
    "variants": ((Variant("nullspace"),), True),
    "model": ("pkg.module:factory", True),
    "dataset": ("mnist", True),
    "data_dir": ("/data", False),
    "device": ("cuda", True),
    "dtype": ("float64", True),
    "bias": (True, True),
    "seed": (1, True),
    "threads": (1, True),
    "sampling": (Sampling(warmup=3), True),
    "preservation": (Preservation(steps=3), True),
    "budget": (60.0, False),
    "letters": (("t", "b"), True),
}
SAMPLING_CHANGES = {
    "warmup": 3,
    "max_warmup": 9,
    "min_samples": 8,
    "max_samples": 99,
    "block_seconds": 9.0,
    "target": 0.01,
    "cache": "cold",
}
PRESERVATION_CHANGES = {
    "enabled": False,
    "variants": (Variant("identity"),),
    "taus": (1.0,),
    "steps": 3,
    "starts": ("trained",),
    "growth": 2.0,
    "d": 64,
    "n": 16,
    "l": 4,
    "pairs": (Pair(model="cnn", dataset="cifar-10", d=16, n=8, l=4),),
    "layers": (2, 3),
}


def test_every_field_is_classified():
    # What other packages bring is theirs: see tests/bench/measurements.
    assert {*CHANGES, "sections"} == {f.name for f in fields(Spec)}
    assert set(SAMPLING_CHANGES) == {f.name for f in fields(Sampling)}
    assert set(PRESERVATION_CHANGES) == {f.name for f in fields(Preservation)}
    assert {name for name, (_, changes) in CHANGES.items() if not changes} == set(WITHOUT_EFFECT)


@pytest.mark.parametrize("name", CHANGES)
def test_digest_changes_with_what_decides_the_results(quick, name):
    value, changes = CHANGES[name]
    assert getattr(quick, name) != value
    assert (replace(quick, **{name: value}).digest() != quick.digest()) == changes


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [("sampling", name, value) for name, value in SAMPLING_CHANGES.items()]
    + [("preservation", name, value) for name, value in PRESERVATION_CHANGES.items()],
)
def test_digest_changes_with_each_setting(quick, section, name, value):
    old = getattr(quick, section)
    assert getattr(old, name) != value
    changed = replace(quick, **{section: replace(old, **{name: value})})
    assert changed.digest() != quick.digest()


def test_digest_ignores_the_order_of_writing(quick):
    turned = replace(
        quick,
        base=dict(reversed(quick.base.items())),
        axes=quick.axes[::-1],
        variants=quick.variants[::-1],
        preservation=replace(quick.preservation, taus=quick.preservation.taus[::-1]),
    )
    assert turned.digest() == quick.digest()
    assert len(quick.digest()) == 16


def test_digest_does_not_see_whole_or_real(quick):
    whole = replace(quick, sampling=replace(quick.sampling, block_seconds=2))
    assert (
        whole.digest()
        == replace(quick, sampling=replace(quick.sampling, block_seconds=2.0)).digest()
    )


@given(specs())
@settings(max_examples=50, deadline=None)
def test_toml_round_trip(spec):
    again = Spec.from_toml(spec.to_toml("teleport-bench run"))
    assert again == spec
    assert again.digest() == spec.digest()


def test_toml_says_how_to_repeat_the_run(quick):
    command = "teleport-bench run --axis 'd=64,128' --data-dir \"C:\\data\""
    tree = tomllib.loads(quick.to_toml(command))
    assert tree["command"] == command
    assert tree["methods"][3] == "symmetry:published=true"
    assert tree["base"] == {"t": 4, "d": 128, "n": 32, "l": 3, "b": 2}
    assert tree["axes"]["n"] == [8, 16, 32, 64, 96]


_SCALARS = TEXTS | st.text() | st.integers() | st.booleans() | st.floats(allow_nan=False)
_TABLES = st.dictionaries(st.text(), _SCALARS | st.lists(_SCALARS, max_size=3), max_size=4)


@given(_TABLES, st.dictionaries(st.text(), _TABLES, max_size=3))
@settings(deadline=None)
def test_written_toml_is_read_back(plain, tables):
    tree = {**tables, **plain}
    assert tomllib.loads(dump(tree)) == tree


@pytest.mark.parametrize(
    "text", ['"', "\\", "\\u0041", "\x00\x1f\x7f", "a\r\nb\tc", "é😀\u2028", "'''"]
)
def test_awkward_texts_survive(text):
    assert tomllib.loads(dump({"a": text, text: [text], "b": {text: text}})) == {
        "a": text,
        text: [text],
        "b": {text: text},
    }


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(SpecError, match=r"in Unicode; got 'data_dir = \"\\udcff'.*rename"):
        dump({"a": "b", "data_dir": "\udcff"})


def test_what_toml_cannot_hold_is_a_mistake_of_ours():
    with pytest.raises(TypeError, match="NoneType"):
        dump({"a": None})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('preset = "quick"', "preset = ", "expected a spec to be TOML; .*line"),
        ('dataset = "digits"', 'datset = "digits"', "got 'datset'; did you mean 'dataset'"),
        ("warmup = 2", "warm_up = 2", r"a key of \[sampling\] .* 'warm_up'; did you mean 'warmup'"),
        ("growth = 4.0", "grow = 4.0", r"a key of \[preservation\] .*did you mean 'growth'"),
        ("[base]", "[bases]", "got 'bases'; did you mean 'base'"),
        ('model = "mlp"', "", "got one without model: copy the missing lines from a preset"),
        ("bias = false", "bias = 0", "expected bias to be true or false; got 0"),
        ("seed = 0", "seed = -1", "expected seed to be a whole number from 0 .* got -1"),
        ("seed = 0", 'seed = "a"', "expected seed .* got 'a'"),
        ("seed = 0", "seed = true", "expected seed .* got True"),
        ('threads = "auto"', "threads = 0", "expected threads to be a whole number .* got 0"),
        ("budget = inf", "budget = 0", "expected budget to be a number > 0; got 0"),
        ("budget = inf", "budget = nan", "expected budget .* got nan"),
        ('dtype = "float32"', 'dtype = "float23"', "got 'float23'; did you mean 'float32'"),
        ('device = "auto"', 'device = "gpu"', "auto, cpu, cuda or cuda:N; got 'gpu'"),
        ('device = "auto"', "device = 1", "got 1"),
        ('model = "mlp"', 'model = "file.py:"', "path/to/file.py:factory; got 'file.py:'"),
        ('data_dir = ""', "data_dir = 3", "expected data_dir to be a text .* got 3"),
        ('"nullspace",', "3,", "expected methods|expected the methods to be a text .* got 3"),
        ('"nullspace",', '"symmetry",', "got symmetry twice"),
        ('"nullspace",', '"sgd",', "reserved"),
        ("t = [1, 2, 4, 8, 16]", "t = 4", "expected axis t to be a list; got 4"),
        ("t = [1, 2, 4, 8, 16]", "w = [4]", "got 'w'; did you mean d"),
        ("t = [1, 2, 4, 8, 16]", "t = [1.5]", "a level of axis t to be a whole number .* got 1.5"),
        ("t = 4\n", "", r"expected \[base\] to give t, d, n, l, b; got no t"),
        ("t = 4\n", "t = 4\nx = 1\n", r"a letter of \[base\] .* got 'x'"),
        ("t = 4\n", "t = 0\n", "expected base.t to be a whole number from 1"),
        ("t = 4\n", f"t = 0x{'f' * 6000}\n", "expected base.t .* got a very long int"),
        ("min_samples = 7", "min_samples = 22", r"max_samples >= sampling.min_samples \(22\)"),
        ("warmup = 2", "warmup = 2.0", "expected sampling.warmup to be a whole number .* got 2.0"),
        ("block_seconds = 4.0", 'block_seconds = "1"', "block_seconds to be a number > 0; got '1'"),
        ("taus = [1.0,", "taus = [1.5,", "preservation.taus to be a number > 0 and <= 1; got 1.5"),
        ("taus = [1.0,", "taus = [0,", "and <= 1; got 0"),
        ("taus = [1.0,", "taus = [0.9,", "got 0.9 twice"),
        ('starts = ["init"]', 'starts = ["inits"]', "got 'inits'; did you mean 'init'"),
        ('starts = ["init"]', "starts = []", "at least one entry each"),
        ("growth = 4.0", "growth = 1", "expected preservation.growth to be a number > 1; got 1"),
        ("steps = 8", "steps = 0", "expected preservation.steps to be a whole number from 1"),
    ],
)
def test_mistakes_in_a_spec_file_are_named(quick, old, new, message):
    text = (preset_text("quick")).replace(old, new, 1)
    assert text != preset_text("quick")
    with pytest.raises(SpecError, match=message):
        Spec.from_toml(text)


@pytest.mark.parametrize("table", ["base", "axes", "sampling", "preservation"])
def test_a_section_has_to_be_a_table(table):
    tree = tomllib.loads(preset_text("quick"))
    tree[table] = 3
    with pytest.raises(SpecError, match=rf"expected \[{table}\] to be a table; got 3"):
        Spec.from_toml(dump(tree))


def test_no_method_is_refused(quick):
    with pytest.raises(SpecError, match=r"at least one method; .*--method nullspace"):
        replace(quick, variants=())


def test_sgd_is_not_for_the_user_to_add(quick):
    with pytest.raises(SpecError, match="'sgd', which is reserved"):
        replace(quick, variants=(SGD,))
    with pytest.raises(SpecError, match="'sgd', which is reserved"):
        Preservation(variants=(SGD,))


@given(st.text() | _TABLES.map(dump))
@settings(max_examples=50, deadline=None)
def test_nothing_but_spec_errors(text):
    with pytest.raises(SpecError):
        Spec.from_toml(text)


def test_deep_nesting_is_a_spec_error():
    with pytest.raises(SpecError):
        Spec.from_toml("a = " + "[" * 100_000)


def test_axes_given_replace_all_axes(quick):
    spec = quick.with_overrides(axes=(Axis("d", (64, 256)), Axis("n", (16,))))
    assert spec.axes == (Axis("d", (64, 256)),)
    assert spec.base == {**quick.base, "n": 16}
    assert spec.swept == ("d",)


def test_preservation_is_measured_at_the_given_level_nearest_to_its_own(quick):
    place = quick.with_overrides(axes=(Axis("l", (4,)), Axis("d", (16, 100, 512)))).preservation
    assert (place.d, place.n, place.l) == (100, quick.preservation.n, 4)
    assert quick.with_overrides(axes=(Axis("t", (3,)), Axis("b", (3,)))).preservation == (
        quick.preservation
    )
    # Where pairs are measured they have sizes of their own.
    spectrum = load_preset("spectrum")
    assert spectrum.preservation.pairs
    assert spectrum.with_overrides(axes=(Axis("d", (7,)),)).preservation == spectrum.preservation


def test_variants_given_are_also_those_of_the_preservation(quick):
    spec = quick.with_overrides(variants=(Variant("identity"),))
    assert spec.variants == spec.preservation.variants == (Variant("identity"),)
    assert spec.preservation.taus == quick.preservation.taus


def test_overrides_that_are_none_keep_what_is_there(quick):
    assert quick.with_overrides(axes=None, variants=(), seed=None, data_dir=None) == quick
    assert quick.with_overrides(seed=5, bias=True, device="cuda:1").seed == 5


def test_overrides_are_checked(quick):
    with pytest.raises(SpecError, match="got 'float16'"):
        quick.with_overrides(dtype="float16")
    with pytest.raises(SpecError, match="got d twice"):
        quick.with_overrides(axes=(Axis("d", (1,)), Axis("d", (2,))))


def preset_text(name):
    from bench.spec import preset

    return (preset._FOLDER / f"{name}.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", preset_names())
def test_presets_give_every_key(name):
    tree = tomllib.loads(preset_text(name))
    spec = load_preset(name)
    assert spec.preset == name
    unused = {"sampling"} if "training" in spec.sections else set()
    assert set(tree) | unused == set(tomllib.loads(spec.to_toml(""))) - {"command"}
    timed = {} if unused else {"sampling": Sampling, "preservation": Preservation}
    brought = {section: type(held) for section, held in spec.sections.items()}
    for section, kind in (timed | brought).items():
        assert set(tree[section]) == {f.name for f in fields(kind)}
    for axis in spec.axes:
        assert spec.base[axis.name] in axis.values  # the base point is shared by all sweeps


def test_presets_are_those_promised():
    trained = [
        "fair",
        "fair-cnn",
        "fig10",
        "fig2",
        "fig4",
        "fig5",
        "fig7",
        "fig8",
        "fig9",
        "train-quick",
        "two-digits",
    ]
    others = ["cuda", "gate", "methods", "paper", "probe-quick", "quick", "smoke", "spectrum"]
    assert preset_names() == sorted([*trained, *others])
    assert all("training" in load_preset(name).sections for name in trained)
    assert load_preset("quick").swept == load_preset("paper").swept == ("t", "d", "n", "l", "b")
    assert load_preset("paper").base == {"t": 8, "d": 512, "n": 32, "l": 3, "b": 8}


def test_unknown_preset():
    with pytest.raises(
        SpecError,
        match=r"one of cuda, .*, smoke, .*train-quick, two-digits; got 'quik'; did .*'quick'",
    ):
        load_preset("quik")


def test_a_preset_is_no_path():
    with pytest.raises(SpecError, match="expected a preset"):
        load_preset("../presets/quick")


def test_the_planning_modules_load_nothing_heavy():
    code = (
        "import sys, bench.plan.points, bench.spec.preset;"
        "heavy = {'torch', 'numpy', 'pandas', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
