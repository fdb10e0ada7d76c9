"""Verdicts over several metrics and definitions of relevance, on values that are made better or worse on purpose."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_comparison import encoder
from tiny_training import catalog_of

from simtrain.comparison.fold_scores import PooledScores
from simtrain.comparison.neighbours import AlteredScores
from simtrain.comparison.protocol import ComparisonProtocol, build_protocol
from simtrain.comparison.result import EncoderKind
from simtrain.comparison.scoring import ScoredEncoder
from simtrain.comparison.verdict import Verdict
from simtrain.comparison.verdict_families import comparison_verdicts, largest_family
from simtrain.config import load_compare_config

PRODUCTS, VIEWS = 60, 3
CATALOG = catalog_of(
    Path("shop"),
    split=["test"] * PRODUCTS * VIEWS,
    product=[f"p{row // VIEWS}" for row in range(PRODUCTS * VIEWS)],
    label=["cup" if row < 90 else "lamp" for row in range(PRODUCTS * VIEWS)],
)
NOISE = np.random.default_rng(0).normal(0.0, 0.02, (3, 2, PRODUCTS * VIEWS))


def protocol(*settings: str) -> ComparisonProtocol:
    return build_protocol(load_compare_config(None, ["relevance=[product, kind]", *settings]), CATALOG, [])


def scored(
    name: str, kind: EncoderKind, gains: Mapping[tuple[str, str], float | NDArray[np.float64]], *, altered: float = 0.0
) -> ScoredEncoder:
    """Values around 0.5, moved by the gains of (relevance, metric)."""
    rows = np.arange(PRODUCTS * VIEWS)
    own = 0.0 if kind == "off_the_shelf" else 1.0
    scores = {
        relevance: PooledScores(
            values={
                metric: (0.5 + gains.get((relevance, metric), 0.0) + own * NOISE[i, j])[None]
                for j, metric in enumerate(("map_at_r", "recall_at_1"))
            },
            clusters=rows // VIEWS,
            catalog_rows=rows,
            lone_queries=0,
        )
        for i, relevance in enumerate(("product", "kind"))
    }
    return ScoredEncoder(
        figures=encoder(name, kind, quality=0.5, baseline="start", word=None, difference=0.0),
        scores=scores,
        validation={},
        validation_scores={},
        fingerprints=(name,),
        found=[],
        altered=AlteredScores(
            found=0.5 + altered + own * NOISE[2, 0],
            clusters=rows // VIEWS,
            alterations=[("turned", "turned", slice(0, 180))],
        ),
        text=None,
        reopen=lambda: pytest.fail("not needed"),
    )


def verdicts(gains: Mapping[tuple[str, str], Any], *settings: str, altered: float = 0.0) -> dict[str, Verdict]:
    start, run = scored("start", "off_the_shelf", {}), scored("run", "run", gains, altered=altered)
    found = comparison_verdicts(protocol(*settings), [start, run], {"product": start, "kind": start})
    return {relevance: verdict for (_, relevance), verdict in found.items()}


def test_better_where_nothing_is_worse():
    found = verdicts({("product", "map_at_r"): 0.1, ("product", "recall_at_1"): 0.1})
    assert (found["product"].word, found["kind"].word) == ("better", "not shown to be better")
    assert found["product"].contradictions == ()


def test_a_worse_first_hit_makes_it_mixed():
    found = verdicts({("product", "map_at_r"): 0.1, ("product", "recall_at_1"): -0.05})
    assert found["product"].word == "mixed"
    (against,) = found["product"].contradictions
    assert (against.metric, against.relevance, against.word) == ("recall_at_1", "product", "worse")
    assert against.difference == pytest.approx(-0.05 + NOISE[0, 1].mean())
    assert (
        found["product"].sentences[0].startswith("run is better than start by map_at_r, but worse by recall_at_1 (-5")
    )
    assert found["kind"].word == "not shown to be better"


def test_a_worse_kind_makes_the_main_verdict_mixed():
    found = verdicts({("product", "map_at_r"): 0.1, ("kind", "map_at_r"): -0.1})
    assert (found["product"].word, found["kind"].word) == ("mixed", "worse")
    assert "but worse by map_at_r by kind (-" in found["product"].sentences[0]


def test_lost_altered_copies_make_the_main_verdict_mixed():
    found = verdicts({("product", "map_at_r"): 0.1}, altered=-0.2)
    assert found["product"].word == "mixed"
    assert "recall_at_1 by altered copies (-" in found["product"].sentences[0]


def test_worse_in_the_main_metric_and_better_in_another():
    found = verdicts({("product", "map_at_r"): -0.1, ("product", "recall_at_1"): 0.1})
    assert found["product"].word == "mixed"
    assert found["product"].sentences[0].startswith("run is worse than start by map_at_r, but better by recall_at_1 (+")


def test_one_headline_metric_is_not_contradicted_by_others():
    gains = {("product", "map_at_r"): 0.1, ("product", "recall_at_1"): -0.05}
    assert verdicts(gains, "headline_metrics=[map_at_r]")["product"].word == "better"


def test_categories_that_fall_are_named():
    cups = np.where(np.arange(PRODUCTS * VIEWS) < 90, 0.2, -0.1)
    verdict = verdicts({("product", "map_at_r"): cups})["product"]
    assert verdict.word == "better"
    (fallen,) = verdict.falling_categories
    assert fallen.relevance == "lamp"
    assert fallen.difference == pytest.approx(-0.1 + NOISE[0, 0][90:].mean())
    assert any(sentence.startswith("map_at_r falls in lamp (-") for sentence in verdict.sentences)
    assert verdict.to_dict()["falling_categories"][0]["relevance"] == "lamp"


def test_largest_family_counts_both():
    assert largest_family(protocol("headline_metrics=[map_at_r]"), encoders=4) == 2 * 4
    assert largest_family(protocol(), encoders=4) == (2 + 1) * 4
    three = protocol("headline_metrics=[map_at_r, recall_at_1, mrr]")
    assert largest_family(three, encoders=4) == (2 * 2 + 1) * 4
    assert replace(three, relevances=dict(list(three.relevances.items())[:1])).relevance == ["product"]
