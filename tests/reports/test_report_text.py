import math

import pytest

from reports.run import harmless
from reports.text import formatting


@pytest.mark.parametrize(
    ("foreign", "kept"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("one\ntwo\r\n\tthree\u2028four", "one two three four"),
        ("nul\x00bell\x07", "nulbell"),
        ("\u202egpj.exe\u2066x\u200b\ufeff", "gpj.exex"),
        ("lone \ud800 half", "lone \N{REPLACEMENT CHARACTER} half"),
        ("τ = ½, naïve", "τ = ½, naïve"),
    ],
)
def test_text_is_one_visible_line(foreign, kept):
    assert harmless.text(foreign) == kept
    assert harmless.text(kept) == kept


def test_strings_are_cleaned_wherever_they_are_and_numbers_are_not():
    value = {"a\x00": ["\x1b[1mb", 1, None, True, {"c": 2.5}]}
    assert harmless.values(value) == {"a": ["b", 1, None, True, {"c": 2.5}]}


def test_long_texts_are_cut_with_a_sign():
    assert harmless.shortened("a" * 50, 10) == "a" * 9 + "…"
    assert harmless.shortened("a" * 10, 10) == "a" * 10


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (12.34, "12.3 s"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (0.0123, "12.3 ms"),
        (3.21e-6, "3.21 µs"),
        (4e-10, "0.400 ns"),
        (1234.5, "1\N{NARROW NO-BREAK SPACE}234 s"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_times_have_three_digits_and_a_sensible_unit(seconds, text):
    assert formatting.seconds(seconds).replace("\u00a0", " ") == text


def test_an_interval_has_the_unit_of_its_estimate():
    text = formatting.seconds_interval(0.0123, 0.0119, 1.5).replace("\u00a0", " ")
    assert text == "12.3 ms [11.9, 1\N{NARROW NO-BREAK SPACE}500]"
    assert formatting.seconds_interval(0.0123, math.nan, math.nan) == formatting.seconds(0.0123)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (9.996, "10.0"),
        (0.0123, "0.0123"),
        (-3.14159, "\N{MINUS SIGN}3.14"),
        (999.4, "999"),
        (999.6, "1\N{NARROW NO-BREAK SPACE}000"),
        (4.56e7, "4.6 \N{MULTIPLICATION SIGN} 10⁷"),
        (-3.2e-7, "\N{MINUS SIGN}3.2 \N{MULTIPLICATION SIGN} 10⁻⁷"),
        (math.inf, "∞"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_numbers_have_three_digits_or_a_power_of_ten(value, text):
    assert formatting.number(value).replace("\u00a0", " ") == text


def test_slopes_have_two_decimals_and_no_negative_zero():
    assert formatting.slope(-0.001) == "0.00"
    interval = formatting.slope_interval(0.314, 0.249, 0.381).replace("\u00a0", " ")
    assert interval == "0.31 [0.25, 0.38]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.01, "0.01"),
        (50, "50"),
        (20000, "20000"),
        (1e6, "10⁶"),
        (2e-5, "2\N{MULTIPLICATION SIGN}10⁻⁵"),
    ],
)
def test_ticks_are_round(value, text):
    assert formatting.tick_number(value) == text


def test_shares_sizes_and_lists():
    assert formatting.percent(0.1234).replace("\u00a0", " ") == "12.3 %"
    assert formatting.memory(3 * 2**20).replace("\u00a0", " ") == "3.00 MiB"
    assert formatting.listed([]) == ""
    assert formatting.listed(["a", "b", "c"]) == "a, b and c"
    assert formatting.tau(0.9999) == "0.9999"
