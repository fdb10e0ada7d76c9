"""Figures by category against plain loops and arithmetic."""

import json

import numpy as np
import pytest

from simtrain.evaluation.breakdown import (
    CategoryFigures,
    ConfusedPair,
    category_figures,
    confused_pairs,
    macro_intervals,
    macro_means,
)
from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_intervals

DRAWN = {"bootstrap": BootstrapSettings(draws=2000, confidence=0.95, seed=0)}


def test_macro_mean_counts_each_class_once() -> None:
    values = {"mrr": np.array([1.0, 0.0, 0.5, 1.0, 0.25]), "map_at_r": np.array([0.0, 0.0, 0.0, 1.0, 1.0])}
    classes = np.array([4, 4, 4, 0, -1])
    assert macro_means(values, classes) == pytest.approx({"mrr": (0.5 + 1) / 2, "map_at_r": 0.5})


def test_macro_interval_of_one_class_is_that_of_the_mean() -> None:
    generator = np.random.default_rng(0)
    clusters = np.repeat(np.arange(200), 3)
    values = {"mrr": (generator.random(200)[:, None] > generator.random((200, 3))).astype(float).ravel()}
    [macro] = macro_intervals(values, np.zeros(600, dtype=np.int64), clusters, **DRAWN).values()
    [micro] = cluster_bootstrap_intervals(values, clusters, **DRAWN).values()
    assert (macro.mean, macro.low, macro.high) == pytest.approx((micro.mean, micro.low, micro.high), abs=0.004)


def test_macro_interval_has_the_width_of_independent_class_means() -> None:
    """Standard errors of the class means by the textbook, added up as independent ones."""
    generator = np.random.default_rng(1)
    sizes = [5, 20, 80, 300]
    classes, skill = np.repeat(np.arange(4), sizes), np.repeat([0.2, 0.5, 0.6, 0.9], sizes)
    values = (generator.random(len(skill)) < skill).astype(float)
    variance = sum(values[classes == code].var(ddof=1) / size for code, size in enumerate(sizes)) / 16
    found = macro_intervals({"a": values}, classes, np.arange(len(skill)), **DRAWN)["a"]
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * variance**0.5, rel=0.05)
    assert found.low < found.mean < found.high


def test_a_class_of_one_product_is_taken_to_vary_as_the_others_do() -> None:
    generator = np.random.default_rng(2)
    classes = np.array([*np.repeat(np.arange(10), 30), *range(10, 20)])
    values = generator.normal(size=310)
    spread = np.mean([values[classes == code].var(ddof=1) for code in range(10)])
    # Ten classes of thirty, whose means vary by a thirtieth of it, and ten of one.
    expected = 1.96 * (spread * (10 / 30 + 10)) ** 0.5 / 20
    found = macro_intervals({"a": values}, classes, np.arange(310), **DRAWN)["a"]
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.06)


def test_macro_interval_is_unknown_where_no_class_has_two_products() -> None:
    found = macro_intervals({"a": np.array([1.0, 0.0])}, np.array([0, 1]), np.array([0, 1]), **DRAWN)["a"]
    assert found.mean == 0.5
    assert np.isnan([found.low, found.high]).all()


def test_macro_interval_of_a_product_in_two_classes_adds_what_it_does_to_both() -> None:
    """One product has all of the first queries of both classes: the two means move together, by twice as much."""
    values = np.array([1.0, 0.0, 1.0, 0.0])
    together = macro_intervals({"a": values}, np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), **DRAWN)["a"]
    apart = macro_intervals({"a": values[:2]}, np.array([0, 0]), np.array([0, 1]), **DRAWN)["a"]
    assert (together.low, together.high) == pytest.approx((apart.low, apart.high))


def test_categories_have_their_own_figures_and_say_where_products_are_too_few() -> None:
    generator = np.random.default_rng(3)
    classes = np.array([2] * 40 + [0] * 6 + [-1] * 5 + [1])
    clusters = np.array([*np.repeat(np.arange(20), 2), 50, 50, 51, 51, 52, 52, *range(60, 65), 70])
    values = {"mrr": generator.random(52), "map_at_r": generator.random(52)}
    found = category_figures(values, classes, clusters, names=["chair", "table", "lamp"], least_products=10, **DRAWN)
    assert [(one.name, one.queries, one.products, one.note) for one in found] == [
        ("chair", 6, 3, "3 products; an interval needs 10"),
        ("table", 1, 1, "1 product; an interval needs 10"),
        ("lamp", 40, 20, None),
    ]
    assert found[0].metrics["mrr"].mean == pytest.approx(values["mrr"][40:46].mean())
    assert np.isnan([found[0].metrics["mrr"].low, found[0].metrics["mrr"].high]).all()
    lamps = {name: metric[:40] for name, metric in values.items()}
    assert found[2].metrics == cluster_bootstrap_intervals(lamps, clusters[:40], **DRAWN)


def test_an_interval_that_is_unknown_is_null_in_json() -> None:
    figures = CategoryFigures(
        name="chair", queries=2, products=1, metrics={"mrr": Interval(mean=0.5, low=np.nan, high=np.nan)}, note="few"
    )
    assert json.loads(json.dumps(figures.to_dict(), allow_nan=False)) == {
        "name": "chair",
        "queries": 2,
        "products": 1,
        "metrics": {"mrr": {"mean": 0.5, "low": None, "high": None}},
        "note": "few",
    }


def test_confused_pairs_have_their_counts_and_shares() -> None:
    names = ["chair", "table", "lamp"]
    queries = np.array([0] * 10 + [1] * 4 + [2, -1])
    answers = np.array([1, 1, 1, 2, -1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 2, 0])
    found = confused_pairs(queries, answers, names=names, most=10)
    assert found == [
        ConfusedPair(category="chair", answer="table", count=3, queries=10),
        ConfusedPair(category="table", answer="chair", count=1, queries=4),
        ConfusedPair(category="chair", answer="lamp", count=1, queries=10),
    ]
    assert found[0].to_dict() == {
        "category": "chair", "answer": "table", "count": 3, "queries": 10, "share": 0.3
    }  # fmt: skip
    assert confused_pairs(queries, answers, names=names, most=1) == found[:1]


def test_one_answer_of_one_does_not_come_before_forty_of_a_hundred() -> None:
    queries, answers = np.array([0] * 100 + [1]), np.array([2] * 40 + [0] * 60 + [2])
    found = confused_pairs(queries, answers, names=["chair", "table", "lamp"], most=2)
    assert [(pair.category, pair.count) for pair in found] == [("chair", 40), ("table", 1)]


def test_no_confusion_is_no_pair() -> None:
    assert confused_pairs(np.array([0, 1]), np.array([0, -1]), names=["chair", "table"], most=5) == []


def test_wrong_input_is_named() -> None:
    values = {"mrr": np.ones(3)}
    with pytest.raises(ValueError, match=r"^mrr has shape \(3,\), but classes has \(2,\)$"):
        macro_means(values, np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match=r"^clusters has shape \(2,\), but classes has \(3,\)$"):
        macro_intervals(values, np.zeros(3, dtype=np.int64), np.zeros(2, dtype=np.int64), **DRAWN)
    with pytest.raises(
        ValueError,
        match=r"^draws is 0 and confidence 0\.95; allowed: 1 or more draws, a confidence between 0 and 1$",
    ):
        macro_intervals(
            values,
            np.zeros(3, dtype=np.int64),
            np.arange(3),
            bootstrap=BootstrapSettings(draws=0, confidence=0.95, seed=0),
        )
    with pytest.raises(
        ValueError, match=r"^none of 3 queries has a class; needed: a code of 0 or more for at least one$"
    ):
        category_figures(values, np.full(3, -1), np.arange(3), names=["a"], least_products=2, **DRAWN)
    with pytest.raises(ValueError, match=r"^query_classes has shape \(2,\), but answer_classes has \(1,\)$"):
        confused_pairs(np.zeros(2, dtype=np.int64), np.zeros(1, dtype=np.int64), names=["a"], most=1)
