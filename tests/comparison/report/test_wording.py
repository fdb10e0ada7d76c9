"""Names and figures as a page shows them."""

import html
import math

import pytest
from page_parser import HOSTILE

from simtrain.comparison.report.wording import between, figure, named, percent, plot_text, points
from simtrain.evaluation.statistics import Interval


@pytest.mark.parametrize("name", HOSTILE)
def test_charts_show_a_name_as_it_is(name: str) -> None:
    shown = plot_text(name, to=100)
    assert not set("<>$") & set(shown.replace("&lt;", "").replace("&gt;", "").replace("&#36;", ""))
    assert html.unescape(shown).strip("\u2068\u2069") == name


def test_names_lose_what_would_spoil_a_page() -> None:
    assert named("a\x00b\ud800c\u202ed\te", to=20) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}cd e"
    assert named("x" * 50, to=10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (percent(0.71349), "71.3"),
        (percent(-0.0001), "0.0"),
        (percent(math.nan), "\N{EN DASH}"),
        (points(0.061), "+6.1"),
        (points(-0.061), "-6.1"),
        (points(0.0), "0.0"),
        (between(Interval(mean=0.5, low=0.4, high=0.6)), "40.0 to 60.0"),
        (between(Interval(mean=0.5, low=math.nan, high=math.nan)), "no interval"),
        (figure(0.02134, digits=2), "0.021"),
        (figure(1234.5, digits=2), "1,234"),
        (figure(None, digits=2), "\N{EN DASH}"),
    ],
)
def test_numbers_are_told_alike(told: str, expected: str) -> None:
    assert told == expected
