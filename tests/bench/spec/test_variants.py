"""Variants: typed options, one canonical text, errors for everything else."""

from math import inf

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spec_strategies import variants

from bench.errors import SpecError
from bench.spec.variants import SGD, Variant, parse_variant


@pytest.mark.parametrize(
    ("text", "method", "options", "canonical"),
    [
        ("nullspace", "nullspace", {}, "nullspace"),
        (
            "nullspace:tau=.99,engine=textbook",
            "nullspace",
            {"engine": "textbook", "tau": 0.99},
            "nullspace:engine=textbook,tau=0.99",
        ),
        ("symmetry:published=true", "symmetry", {"published": True}, "symmetry:published=true"),
        ("symmetry:published=False", "symmetry", {"published": False}, "symmetry:published=false"),
        ("a:x=1", "a", {"x": 1}, "a:x=1"),
        ("a:x=-1", "a", {"x": -1}, "a:x=-1"),
        ("a:x=1.", "a", {"x": 1.0}, "a:x=1.0"),
        ("a:x=1e-3", "a", {"x": 0.001}, "a:x=0.001"),
        ("a:cap=inf", "a", {"cap": inf}, "a:cap=inf"),
        ("a:cap=-Inf", "a", {"cap": -inf}, "a:cap=-inf"),
        ("a:where=pkg:name", "a", {"where": "pkg:name"}, "a:where=pkg:name"),
        (" a : x = 1 , y = b ", "a", {"x": 1, "y": "b"}, "a:x=1,y=b"),
    ],
)
def test_read(text, method, options, canonical):
    variant = parse_variant(text)
    assert variant.method == method
    assert dict(variant.options) == options
    assert {k: type(v) for k, v in variant.options.items()} == {
        k: type(v) for k, v in options.items()
    }
    assert str(variant) == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a method's name .* got ''.*nullspace:tau=.99"),
        (":tau=1", "expected a method's name .* got ''"),
        ("null space", "got 'null space'"),
        ("nullspace:", "expected OPTION=VALUE after nullspace:; got ''"),
        ("nullspace:tau", "expected OPTION=VALUE after nullspace:; got 'tau'"),
        ("nullspace:tau=", "got 'tau='"),
        ("nullspace:=1", "got '=1'"),
        ("nullspace:tau=1,", "got ''"),
        ("nullspace:tau=1,tau=.9", "each option once; got tau twice"),
        ("nullspace:tau=nan", "option tau .* got nan"),
        ("nullspace:ta u=1", "got 'ta u'"),
        ("nullspace:engine=text book", "option engine of nullspace .* got 'text book'"),
        ("nullspace:engine=a=b", "got 'a=b'"),
        ("nullspace:steps=4", "steps, which is the axis t; got steps=4: .* --axis t=8"),
        ("a:x=9999999999999999999", "expected option x of a .* got 9999999999999999999"),
        ("sgd", "got 'sgd', which is reserved: plain SGD is added to every block"),
        ("sgd:lr=.1", "reserved"),
        ("nullspace:" + "x" * 5000, "expected a variant METHOD:OPTION=VALUE"),
    ],
)
def test_errors(text, message):
    with pytest.raises(SpecError, match=message):
        parse_variant(text)


@pytest.mark.parametrize("value", ["", "a,b", "a b", "true", "1.5", "inf", "\x00", 10**18, None])
def test_options_that_could_not_be_read_back_are_refused(value):
    with pytest.raises(SpecError, match="expected option x"):
        Variant("a", {"x": value})


def test_equality_follows_the_text():
    assert Variant("a", {"x": 1, "y": True}) == Variant("a", {"y": True, "x": 1})
    assert Variant("a", {"x": 1}) != Variant("a", {"x": True})
    assert len({parse_variant("a:x=1"), parse_variant("a:x=1.0"), parse_variant("a:x=true")}) == 3


def test_sgd_is_a_variant_of_the_plan_alone():
    assert str(SGD) == SGD.method == "sgd"


@given(variants())
@settings(deadline=None)
def test_the_text_of_a_variant_is_read_back(variant):
    again = parse_variant(str(variant))
    assert again == variant
    assert hash(again) == hash(variant)
    assert {k: (type(v), v) for k, v in again.options.items()} == {
        k: (type(v), v) for k, v in variant.options.items()
    }


_NEARLY = st.builds(
    "{}:{}".format, st.text("ab:=", max_size=4), st.text("ax1.e=,-+: ", max_size=20)
)


@given(st.text(st.characters(), max_size=40) | _NEARLY)
@settings(deadline=None)
@example("a:x=" + "9" * 500)
@example("a:x=1e999")
@example("a:x=\ud800")
def test_nothing_but_spec_errors(text):
    try:
        variant = parse_variant(text)
    except SpecError:
        return
    assert parse_variant(str(variant)) == variant
