"""Axes: the three ways to write levels, and what is said about everything else."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spec_strategies import axes

from bench.errors import SpecError
from bench.spec.axes import AXES, MEANINGS, Axis, parse_axis


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("d=64,128,256", (64, 128, 256)),
        ("d=64:4096:x2", (64, 128, 256, 512, 1024, 2048, 4096)),
        ("d=64:4095:x2", (64, 128, 256, 512, 1024, 2048)),
        ("t=1:9:+2", (1, 3, 5, 7, 9)),
        ("t=1:8:+2", (1, 3, 5, 7)),
        ("b=5:5:x3", (5,)),
        ("l=1", (1,)),
        (" n = 16 , 32 ", (16, 32)),
        ("n=256,16,64", (16, 64, 256)),
        ("d=0064", (64,)),
        ("d=2147483647", (2**31 - 1,)),
        ("b=1:1000:+1", tuple(range(1, 1001))),
    ],
)
def test_levels(text, levels):
    assert parse_axis(text) == Axis(text.strip()[0], levels)


@pytest.mark.parametrize(
    ("text", "came", "instead"),
    [
        ("", "got ''", "write for example d=64,128,256"),
        ("d", "got 'd'", "write for example d=64:4096:x2"),
        ("d=", "got 'd='", "write for example d=64:4096:x2"),
        ("d=-3", "got '-3'", "write for example d=64:4096:x2"),
        ("d=0", "got '0'", "whole numbers from 1"),
        ("d=64.0", "got '64.0'", "(hidden width)"),
        ("n=1e3", "got '1e3'", "write for example n=16,32,64"),
        ("n=1_000", "got '1_000'", "write for example n=16,32,64"),
        ("n=٣", "got '٣'", "whole numbers"),
        ("n=2147483648", "got '2147483648'", "to 2147483647"),
        ("n=" + "9" * 5000, "got '999", "to 2147483647"),
        ("n=16,,32", "got ''", "write for example n=16,32,64"),
        ("n=16,16", "got 16 twice", "leave one out"),
        ("n=16,016", "got 16 twice", "leave one out"),
        ("d=64:512", "got '64:512'", "START:STOP:xFACTOR or START:STOP:+STEP"),
        ("d=64:512:2", "got '64:512:2'", "d=1:16:x2 or d=1:9:+2"),
        ("d=8,64:512:x2", "got '8,64:512:x2'", "START:STOP:xFACTOR"),
        ("d=1:2:3:x2", "got '1:2:3:x2'", "START:STOP:xFACTOR"),
        ("d=512:64:x2", "got '512:64:x2'", "write d=64:512:x2"),
        ("d=64:512:x1", "got x1", "write x2 or more"),
        ("d=64:512:x0", "got x0", "write x2 or more"),
        ("t=1:9:+0", "got +0", "write +1 or more"),
        ("t=1:9:+-2", "got '-2'", "whole numbers"),
        ("b=1:1001:+1", "got 1001", "from 1 to 1000 levels"),
        ("b=1:2000000000:+1", "got 2000000000", "from 1 to 1000 levels"),
        ("b=" + ",".join(map(str, range(1, 1002))), "got 1001", "from 1 to 1000 levels"),
        ("w=64", "got 'w'", "did you mean d?"),
        ("D=64", "got 'D'", "did you mean d?"),
        ("layers=3", "got 'layers'", "did you mean l?"),
        ("tau=.9", "got 'tau'", "tau is an axis of 'run' alone"),
        ("=3", "got ''", "t (teleport steps per batch)"),
        ("64,128", "got '64,128'", "d (hidden width)"),
    ],
)
def test_errors_say_what_came_and_what_to_write(text, came, instead):
    with pytest.raises(SpecError) as caught:
        parse_axis(text)
    assert "expected" in str(caught.value)
    assert came in str(caught.value)
    assert instead in str(caught.value)


def test_text_without_a_known_suggestion_names_all_letters():
    with pytest.raises(SpecError) as caught:
        parse_axis("q=1")
    assert "did you mean" not in str(caught.value)
    assert all(f"{letter} ({MEANINGS[letter]})" in str(caught.value) for letter in AXES)


def test_every_letter_has_meaning_and_unit():
    assert tuple(MEANINGS) == AXES


@pytest.mark.parametrize("values", [(), (1, 1), (0,), (True,), (1.0,), ("1",), "12", None])
def test_an_axis_refuses_what_is_no_level(values):
    with pytest.raises(SpecError, match="axis d"):
        Axis("d", values)


# Letters, digits and separators in every combination reach further than arbitrary text does.
_NEARLY = st.builds(
    "{}={}".format, st.sampled_from((*AXES, "w", "")), st.text("0123456789,:x+- .", max_size=20)
)


@given(st.text(st.characters(), max_size=40) | _NEARLY)
@settings(deadline=None)
@example("d=\ud800")
@example("d=²:8:x2")
@example("d=1:" + "9" * 5000 + ":+1")
def test_nothing_but_spec_errors(text):
    try:
        axis = parse_axis(text)
    except SpecError:
        return
    assert axis.name in AXES
    assert list(axis.values) == sorted(set(axis.values))
    assert axis.values[0] >= 1


@given(axes())
@settings(deadline=None)
def test_the_text_of_an_axis_is_read_back(axis):
    assert parse_axis(str(axis)) == axis


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 10**5))
@settings(deadline=None)
def test_ranges_agree_with_pythons(start, length, step):
    expected = tuple(range(start, start + length + 1, step))
    if len(expected) <= 1000:
        assert parse_axis(f"t={start}:{start + length}:+{step}").values == expected


@given(st.integers(1, 100), st.integers(0, 10**6), st.integers(2, 9))
@settings(deadline=None)
def test_powers_are_all_those_up_to_the_stop(start, length, factor):
    levels = parse_axis(f"d={start}:{start + length}:x{factor}").values
    assert levels == tuple(start * factor**k for k in range(len(levels)))
    assert levels[-1] <= start + length < levels[-1] * factor
