"""Random axes, variants and specs for property tests."""

from hypothesis import strategies as st

from bench.spec.axes import AXES, Axis
from bench.spec.preservation import STARTS, Preservation
from bench.spec.sampling import CACHES, Sampling
from bench.spec.spec import DTYPES, Spec
from bench.spec.variants import Variant

LEVELS = st.integers(1, 2**31 - 1)
TEXTS = st.text(min_size=1, max_size=20)  # includes quotes, control characters and other planes
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(10**18) + 1, 10**18 - 1),
    st.floats(allow_nan=False),
    st.from_regex(r"[a-z][a-z0-9:/._-]{0,8}", fullmatch=True).filter(
        lambda text: text not in ("true", "false", "inf", "nan")
    ),
)


@st.composite
def axes(draw):
    levels = draw(st.lists(LEVELS, min_size=1, max_size=6, unique=True))
    return Axis(draw(st.sampled_from(AXES)), tuple(levels))


@st.composite
def variants(draw):
    names = NAMES.filter(lambda name: name not in ("sgd", "steps"))
    return Variant(draw(names), draw(st.dictionaries(names, VALUES, max_size=3)))


def variant_tuples(least=1):
    return st.lists(variants(), min_size=least, max_size=4, unique=True).map(tuple)


@st.composite
def samplings(draw):
    least = draw(st.integers(1, 50))
    warmup = draw(st.integers(0, 9))
    return Sampling(
        warmup=warmup,
        max_warmup=warmup + draw(st.integers(0, 50)),
        target=draw(st.floats(0, 1, exclude_min=True)),
        cache=draw(st.sampled_from(CACHES)),
        min_samples=least,
        max_samples=least + draw(st.integers(0, 50)),
        block_seconds=draw(st.floats(1e-3, 1e6)),
    )


@st.composite
def preservations(draw):
    taus = st.floats(0, 1, exclude_min=True)
    return Preservation(
        enabled=draw(st.booleans()),
        variants=draw(variant_tuples()),
        taus=tuple(draw(st.lists(taus, min_size=1, max_size=4, unique=True))),
        steps=draw(LEVELS),
        starts=draw(st.permutations(STARTS).map(tuple)),
        growth=draw(st.floats(1, 1e6, exclude_min=True)),
        d=draw(LEVELS),
        n=draw(LEVELS),
        l=draw(LEVELS),
    )


@st.composite
def specs(draw):
    return Spec(
        preset=draw(TEXTS),
        base={letter: draw(LEVELS) for letter in AXES},
        axes=tuple(draw(st.lists(axes(), max_size=5, unique_by=lambda axis: axis.name))),
        variants=draw(variant_tuples()),
        model=draw(st.sampled_from(("mlp", "pkg.module:factory", 'a "b"\\c/file.py:factory'))),
        dataset=draw(TEXTS),
        data_dir=draw(st.none() | TEXTS),
        device=draw(st.sampled_from(("auto", "cpu", "cuda", "cuda:1"))),
        dtype=draw(st.sampled_from(DTYPES)),
        bias=draw(st.booleans()),
        seed=draw(st.integers(0, 2**63 - 1)),
        threads=draw(st.none() | st.integers(1, 64)),
        sampling=draw(samplings()),
        preservation=draw(preservations()),
        budget=draw(st.none() | st.floats(1e-3, 1e9)),
    )
