"""Tables of the page."""

import pytest
from page_parser import Page
from tiny_comparison import tiny_comparison


def test_the_figures_are_those_of_the_report(page: Page) -> None:
    report = tiny_comparison()
    ranking = page.json["json-figures"]["ranking"]
    means = sorted((one.relevances["product"].metrics["map_at_r"] for one in report.encoders), key=lambda of: -of.mean)
    assert [trace["x"][0] for trace in ranking["data"]] == pytest.approx([100 * of.mean for of in means])
    below = [trace["error_x"]["arrayminus"][0] for trace in ranking["data"]]
    assert below == pytest.approx([100 * (of.mean - of.low) for of in means])
    for of in means:
        assert f"{100 * of.mean:.1f} {100 * of.low:.1f} to {100 * of.high:.1f}" in page.text
    curve = page.json["json-figures"]["recall"]["data"][-1]
    assert curve["y"] in [pytest.approx([100 * share for share in one.recall_curve]) for one in report.encoders]
