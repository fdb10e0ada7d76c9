"""Verdicts whose words follow from arithmetic, and from simulated encoders that are alike or not."""

# Shapes: S queries, P products, K seeds.

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.comparison.verdict import PairedComparison, Verdict, VerdictSettings, verdicts_with_correction
from simtrain.evaluation.resolvable_difference import resolvable_difference
from simtrain.evaluation.statistics import BootstrapSettings

SETTINGS = VerdictSettings(bootstrap=BootstrapSettings(draws=1999, confidence=0.95, seed=0), power=0.8)
PRODUCTS = np.repeat(np.arange(40), 3)
BASELINE = np.random.default_rng(0).uniform(0.3, 0.6, len(PRODUCTS))
NOISE = np.random.default_rng(1).normal(0.0, 0.02, len(PRODUCTS))


def comparison(values: NDArray[np.float64], *, encoder: str = "tuned", relevance: str = "product") -> PairedComparison:
    return PairedComparison(
        encoder=encoder,
        baseline="clip",
        metric="map_at_r",
        relevance=relevance,
        values=np.atleast_2d(values),
        baseline_values=BASELINE[None],
        clusters=PRODUCTS,
    )


def judge(*comparisons: PairedComparison) -> list[Verdict]:
    return verdicts_with_correction(comparisons, settings=SETTINGS)


@pytest.mark.parametrize(
    ("shift", "word"),
    [(0.1, "better"), (0.0, "not shown to be better"), (-0.1, "worse"), (1e-4, "not shown to be better")],
)
def test_word_follows_the_difference(shift: float, word: str) -> None:
    [verdict] = judge(comparison(BASELINE + shift + NOISE - NOISE.mean()))
    assert verdict.word == word
    assert verdict.difference.mean == pytest.approx(shift)


def test_an_encoder_against_itself_is_not_shown_to_be_better() -> None:
    [verdict] = judge(comparison(BASELINE))
    assert verdict.word == "not shown to be better"
    assert verdict.p_value == verdict.corrected_p_value == 1.0
    assert (verdict.differing_products, verdict.resolvable_difference) == (0, None)
    assert verdict.sentences == (
        "tuned is not shown to be better than clip: map_at_r by product differs by 0.0 points (95 % interval 0.0 to "
        "0.0, p = 1.000) over 120 queries of 40 products.",
        "Both have the same result at every product.",
    )


def test_correction_takes_a_verdict_back() -> None:
    # A difference whose p-value alone is near 0.02, beside three encoders that are the baseline: 4 times 0.02.
    own = np.random.default_rng(2).normal(0.0, 0.1, 40)
    values = BASELINE + (own - own.mean() + 2.4 * own.std() / np.sqrt(40))[PRODUCTS]
    [alone] = judge(comparison(values))
    family = judge(comparison(values), *(comparison(BASELINE, encoder=name) for name in "abc"))
    assert alone.word == "better"
    assert alone.p_value == alone.corrected_p_value
    assert family[0].word == "not shown to be better"
    assert family[0].p_value == alone.p_value
    assert family[0].corrected_p_value == pytest.approx(4 * alone.p_value)
    assert family[0].comparisons == 4


def test_resolvable_difference_is_that_of_the_strictest_step() -> None:
    values = BASELINE + 0.1 + NOISE
    found = judge(comparison(values), comparison(BASELINE, encoder="same"))[0].resolvable_difference
    assert found == resolvable_difference(values - BASELINE, PRODUCTS, level=(1 - 0.95) / 2, power=0.8)


def test_comparisons_of_other_queries_are_judged_each_by_their_own_products() -> None:
    few = replace(
        comparison(BASELINE + 0.1, relevance="label"),
        values=BASELINE[None, :12] + 0.1,
        baseline_values=BASELINE[None, :12],
        clusters=PRODUCTS[:12],
    )
    by_product, by_label = judge(comparison(BASELINE + 0.1 + NOISE), few)
    assert (by_product.word, by_product.queries, by_product.products) == ("better", 120, 40)
    assert (by_label.word, by_label.queries, by_label.products) == ("not shown to be better", 12, 4)
    assert by_label.sentences[1] == "They differ at 4 products; that is too few for a verdict at this confidence."


def test_sentences_say_how_much_and_how_sure() -> None:
    [verdict] = judge(comparison(BASELINE - 0.1 + NOISE - NOISE.mean()))
    low, high, smallest = (
        100 * value for value in (verdict.difference.low, verdict.difference.high, verdict.resolvable_difference or 0.0)
    )
    assert verdict.sentences == (
        "tuned is worse than clip: map_at_r by product differs by -10.0 points "
        f"(95 % interval {low:.1f} to {high:.1f}, p < 0.001) over 120 queries of 40 products.",
        f"The smallest difference that this split can detect is {smallest:.2g} points (with 80 % probability).",
    )


def test_what_was_not_found_may_be_too_small() -> None:
    own = np.random.default_rng(4).normal(0.0, 0.2, 40)
    [verdict] = judge(comparison(BASELINE + (own - own.mean() + 0.0012)[PRODUCTS]))
    smallest = 100 * (verdict.resolvable_difference or 0.0)
    assert "differs by +0.12 points (95 % interval -" in verdict.sentences[0]
    assert verdict.sentences[1] == (
        f"The smallest difference that this split can detect is {smallest:.1f} points (with 80 % probability); "
        "a smaller one may exist."
    )


def test_differences_without_spread_are_said_to_be_so() -> None:
    values = BASELINE + 0.1
    [verdict] = judge(comparison(values))
    assert verdict.word == "better"
    assert (
        verdict.sentences[1]
        == "The difference is the same at every query, so the smallest detectable difference is unknown."
    )


def test_seeds_are_pooled_and_their_spread_is_shown() -> None:
    seeds = np.stack([BASELINE + 0.08 + NOISE, BASELINE + 0.10 + NOISE, BASELINE + 0.12 + NOISE])
    [verdict] = judge(comparison(seeds))
    mean = BASELINE.mean() + NOISE.mean()
    assert verdict.seed_means == pytest.approx((mean + 0.08, mean + 0.10, mean + 0.12))
    assert verdict.seed_spread == pytest.approx(0.02)
    assert verdict.difference.mean == pytest.approx(0.1 + NOISE.mean())
    assert verdict.sentences[2] == (
        "tuned is the mean of 3 seeds; the standard deviation of their means is 2.0 points. "
        "The interval covers the choice of products, not of seeds."
    )


def test_verdicts_are_plain_values_for_json() -> None:
    one_product = replace(comparison(BASELINE + 0.1), clusters=np.zeros(120, dtype=np.int64))
    [verdict] = judge(one_product)
    read = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert read["word"] == "not shown to be better"
    assert read["difference"] == {"mean": pytest.approx(0.1), "low": None, "high": None}
    assert read["seed_spread"] is None
    assert read["sentences"] == [
        "tuned is not shown to be better than clip: map_at_r by product differs by +10.0 points (p = 1.000) over 120 "
        "queries of 1 product.",
        "They differ at 1 product; that is too few for a verdict at this confidence.",
    ]


@pytest.mark.parametrize(
    ("comparisons", "message"),
    [
        (
            [comparison(BASELINE)] * 2,
            "tuned against clip, map_at_r by product: more than once; allowed: each comparison once",
        ),
        (
            [comparison(BASELINE[:5])],
            "tuned against clip, map_at_r by product: values has shape (1, 5), but clusters has 120 queries; "
            "allowed: (seeds, 120)",
        ),
        (
            [comparison(np.where(np.arange(120) == 7, np.nan, BASELINE))],
            "tuned against clip, map_at_r by product: value 7 is nan; allowed: finite numbers",
        ),
    ],
)
def test_wrong_comparisons_are_named(comparisons: list[PairedComparison], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        judge(*comparisons)


def test_draws_that_cannot_reach_a_verdict_are_refused() -> None:
    family = [comparison(BASELINE, encoder=str(number)) for number in range(6)]
    message = "draws is 99; allowed: 120 or more, or no p-value of 6 comparisons can come below 0.05"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        verdicts_with_correction(family, settings=replace(SETTINGS, bootstrap=replace(SETTINGS.bootstrap, draws=99)))


@pytest.mark.slow
@pytest.mark.parametrize(("products", "encoders"), [(20, 1), (100, 1), (100, 4)])
def test_encoders_alike_in_distribution_are_not_shown_to_be_better(products: int, encoders: int) -> None:
    generator = np.random.default_rng(products + encoders)
    settings = VerdictSettings(bootstrap=BootstrapSettings(draws=499, confidence=0.95, seed=0), power=0.8)
    splits = 1000
    right = better = 0
    for _ in range(splits):
        sizes = np.ceil(generator.lognormal(1.0, 1.0, products)).astype(np.int64).clip(1, 60)
        clusters = np.repeat(np.arange(products), sizes)
        difficulty = generator.normal(0.6, 0.2, products)
        # An encoder's luck with a product comes on top of what is hard for all of them.
        luck = generator.normal(0.0, 0.1, (encoders + 1, products))
        values = (difficulty + luck)[:, clusters] + generator.normal(0.0, 0.2, (encoders + 1, len(clusters)))
        family = [
            replace(
                comparison(BASELINE, encoder=str(number)),
                values=values[number : number + 1],
                baseline_values=values[-1:],
                clusters=clusters,
            )
            for number in range(encoders)
        ]
        words = {verdict.word for verdict in verdicts_with_correction(family, settings=settings)}
        right += words == {"not shown to be better"}
        better += "better" in words
    print(f"{products} products, {encoders} encoders: {right / splits:.3f} not shown, {better / splits:.3f} better")
    assert right / splits >= 0.94
    assert better / splits <= 0.035
