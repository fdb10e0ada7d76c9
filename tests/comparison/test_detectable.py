"""Smallest detectable differences of a comparison, against arithmetic and values whose spread is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from tiny_comparison import encoder
from tiny_training import catalog_of

from simtrain.comparison.detectable import detectable_differences, differences_measured_on_val
from simtrain.comparison.fold_scores import PooledScores
from simtrain.comparison.protocol import ComparisonProtocol, build_protocol
from simtrain.comparison.result import EncoderKind
from simtrain.comparison.scoring import ScoredEncoder
from simtrain.config import load_compare_config

PRODUCTS, VIEWS, OF_VAL = 60, 3, 40
TEST = PRODUCTS * VIEWS
CATALOG = catalog_of(
    Path("shop"),
    split=["test"] * TEST + ["val"] * OF_VAL * VIEWS,
    product=[f"p{row // VIEWS}" for row in range(TEST + OF_VAL * VIEWS)],
)


def protocol(*settings: str) -> ComparisonProtocol:
    return build_protocol(load_compare_config(None, list(settings)), CATALOG, [])


def points(variance_of_mean: float, *, level: float) -> float:
    quantiles = stats.t.ppf(1 - level / 2, PRODUCTS - 1) + stats.t.ppf(0.8, PRODUCTS - 1)
    return float(quantiles * np.sqrt(variance_of_mean))


def test_beforehand_both_metrics_are_told_with_what_was_assumed() -> None:
    found = detectable_differences(protocol(), comparisons=2)
    recall = points((0.2 + 2 * 0.04) / TEST, level=0.025)
    of_map = points((0.2 * (0.2 + 0.8 / 2) + 2 * 0.04) / TEST, level=0.025)  # 2 relevant images each
    assert found.smallest == {
        "product": {"recall_at_1": pytest.approx(recall, rel=1e-4), "map_at_r": pytest.approx(of_map, rel=1e-4)}
    }
    assert found.sentences[:2] == [
        "Relevance product, estimated beforehand: the split can detect differences in recall_at_1 of "
        f"{100 * recall:.1f} points or more and "
        f"in map_at_r of {100 * of_map:.1f} points or more, with 80 % probability.",
        "The estimate assumes that at 20 % of the queries exactly one of two encoders is right, for map_at_r at as "
        "many of the places "
        "of each query; results within a product correlate by 0.2; 2 verdicts are corrected together.",
    ]


def test_too_few_products_detect_nothing() -> None:
    small = catalog_of(Path("shop"), split=["test"] * 6, product=list("aabbcc"))
    found = detectable_differences(build_protocol(load_compare_config(None, []), small, []), comparisons=1)
    assert found.smallest == {"product": {"recall_at_1": None, "map_at_r": None}}
    assert (
        found.sentences[0]
        == "Relevance product, estimated beforehand: the split has too few products to detect a difference."
    )


def on_val(name: str, kind: EncoderKind, values: NDArray[np.float64]) -> ScoredEncoder:
    scores = PooledScores(
        values={"map_at_r": values[None], "recall_at_1": np.round(values)[None]},
        clusters=np.arange(len(values)) // VIEWS,
        catalog_rows=np.arange(len(values)),
        lone_queries=0,
    )
    return ScoredEncoder(
        figures=encoder(name, kind, quality=0.5, baseline="start", word=None, difference=0.0),
        scores={},
        validation={"product": float(values.mean())},
        validation_scores={"product": scores},
        fingerprints=(name,),
        found=[],
        altered=None,
        text=None,
        reopen=lambda: pytest.fail("not needed"),
    )


@pytest.fixture
def encoders() -> list[ScoredEncoder]:
    generator = np.random.default_rng(0)
    values = [generator.beta(4, 2, OF_VAL).repeat(VIEWS) * generator.beta(8, 1, OF_VAL * VIEWS) for _ in range(4)]
    kinds: tuple[EncoderKind, ...] = ("off_the_shelf", "whitened", "run", "run")
    better = [0.0, 0.05, -0.1, 0.0]
    return [
        on_val(name, kind, of + by)
        for name, kind, of, by in zip(("start", "white", "poor", "good"), kinds, values, better, strict=True)
    ]


def test_on_val_the_spread_between_baseline_and_best_run_counts(encoders: list[ScoredEncoder]) -> None:
    start, _, _, good = encoders
    found = differences_measured_on_val(protocol(), encoders, {"product": start}, comparisons=3)
    for metric in ("map_at_r", "recall_at_1"):
        own, other = (one.validation_scores["product"].values[metric][0] for one in (good, start))
        off = own - other - (own - other).mean()
        together = [
            off[i] * off[j] for i in range(len(off)) for j in range(len(off)) if i != j and i // VIEWS == j // VIEWS
        ]
        covariance = min(max(float(np.mean(together)), 0.0), float(np.mean(off**2)))
        expected = points((np.mean(off**2) + 2 * covariance) / TEST, level=0.05 / 3)
        assert found.smallest["product"][metric] == pytest.approx(expected, rel=1e-3)
    assert found.sentences[0].startswith("Relevance product, as good and start differ on val: ")


def test_without_runs_the_best_other_encoder_counts(encoders: list[ScoredEncoder]) -> None:
    start, white, *_ = encoders
    found = differences_measured_on_val(protocol(), [start, white], {"product": start}, comparisons=1)
    assert "as white and start differ" in found.sentences[0]


def test_nothing_is_measured_on_the_evaluated_split_or_on_few_products(encoders: list[ScoredEncoder]) -> None:
    few = [
        replace(one, validation_scores={"product": replace(scores, clusters=scores.clusters // 5)})
        for one in encoders
        for scores in one.validation_scores.values()
    ]
    for settings, given in ((("split=val",), encoders), ((), few), ((), encoders[:1])):
        found = differences_measured_on_val(protocol(*settings), given, {"product": given[0]}, comparisons=1)
        assert (found.smallest, found.sentences) == ({}, [])
