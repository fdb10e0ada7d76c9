"""Charts of how good encoders are."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from page_parser import written
from tiny_comparison import tiny_comparison

from simtrain.evaluation.breakdown import CategoryFigures
from simtrain.evaluation.statistics import Interval


def test_of_many_categories_the_largest_are_drawn_and_all_are_told(tmp_path: Path) -> None:
    report = tiny_comparison()
    many = [
        CategoryFigures(
            name=f"category {place:03}", queries=1000 - place, products=1,
            metrics={"map_at_r": Interval(mean=0.5, low=math.nan, high=math.nan)}, note="too few products",
        )
        for place in range(120)
    ]  # fmt: skip
    encoders = [replace(one, categories=many if one.categories else []) for one in report.encoders]
    page = written(tmp_path, replace(report, encoders=encoders))
    axis = page.json["json-figures"]["categories"]["layout"]["yaxis"]
    assert axis["ticktext"] == [f"category {place:03}" for place in range(15)]
    assert "The 105 smaller ones are only in the table." in page.text
    assert "category 119" in page.text


def test_a_mean_without_an_interval_has_no_line_through_it(tmp_path: Path) -> None:
    report = tiny_comparison()
    run = report.encoder("tuned")
    unknown = Interval(mean=0.5, low=math.nan, high=math.nan)
    first = replace(run.categories[0], metrics={"map_at_r": unknown}, note="too few products")
    encoders = [*report.encoders[:-1], replace(run, categories=[first, *run.categories[1:]])]
    bars = written(tmp_path, replace(report, encoders=encoders)).json["json-figures"]["categories"]["data"][-1]
    assert bars["x"][0] == 50
    assert bars["error_x"]["array"][0] is None
    assert bars["error_x"]["array"][1] == pytest.approx(3)
