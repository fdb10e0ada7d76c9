"""Names as a page shows them."""

import html

import pytest
from page_parser import HOSTILE

from simtrain.comparison.report.wording import page_text, plot_text


@pytest.mark.parametrize("name", HOSTILE)
def test_charts_show_a_name_as_it_is(name: str) -> None:
    shown = plot_text(name, to=100)
    assert not set("<>$") & set(shown.replace("&lt;", "").replace("&gt;", "").replace("&#36;", ""))
    assert html.unescape(shown).strip("\u2068\u2069") == name


def test_names_lose_what_would_spoil_a_page() -> None:
    assert page_text("a\x00b\ud800c\u202ed\te", to=20) == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}cd e"
    assert page_text("x" * 50, to=10) == "x" * 9 + "…"
