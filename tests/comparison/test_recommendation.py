"""The recommendation of a comparison: each answer, in its exact words."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tiny_comparison import encoder, tiny_comparison

from simtrain.comparison.recommendation import JudgedEncoders, Recommendation, recommend
from simtrain.comparison.result import EncoderFigures
from simtrain.comparison.verdict import Contradiction, Verdict, VerdictWord

RELEVANCE = tiny_comparison().relevance[0]
BY = f"map_at_r by {RELEVANCE}"


def untouched(name: str = "clip", *, quality: float = 0.5, word: VerdictWord | None = None, **rest: Any):
    made = encoder(name, "off_the_shelf", quality=quality, baseline="clip", word=word, difference=quality - 0.5)
    usual = {"title": f"untouched {name}, 224 px", "export": (name, "--catalog", "data/my shop")}
    return replace(made, **{**usual, **rest})


def run(word: VerdictWord | None, *, difference: float = 0.1, name: str = "shop", **changes: Any) -> EncoderFigures:
    made = encoder(name, "run", quality=0.5 + difference, baseline="clip", word=word, difference=difference)
    of = made.relevances[RELEVANCE]
    verdict = None if of.verdict is None else replace(of.verdict, **changes)
    relevances = {**made.relevances, RELEVANCE: replace(of, verdict=verdict)}
    return replace(made, title=name, export=(name,), relevances=relevances)


def answer(*encoders: EncoderFigures, **rest: Any) -> Recommendation:
    usual = {"relevance": RELEVANCE, "metric": "map_at_r", "split": "test", "baseline": "clip", "validation": {},
             "text_verdicts": ()}  # fmt: skip
    return recommend(JudgedEncoders(encoders=encoders, **{**usual, **rest}))


def difference(of: EncoderFigures) -> str:
    verdict = of.relevances[RELEVANCE].verdict
    assert verdict is not None
    low, mean, high = (f"{100 * value:+.1f}" for value in (verdict.difference.low, verdict.difference.mean,
                                                          verdict.difference.high))  # fmt: skip
    return f"{BY} {mean} points, 95 % interval {low} to {high}"


def worse_texts() -> Verdict:
    found = run("worse").relevances[RELEVANCE].verdict
    assert found is not None
    return replace(found, metric="text_to_image_recall_at_1", baseline="ridge_map_of_shop")


def test_a_run_that_is_better_is_taken() -> None:
    made = run("better")
    found = answer(untouched(), made)
    assert (found.answer, found.encoder, found.run) == ("take", "shop", "shop")
    assert found.sentence == f"take shop: it is better than untouched clip, 224 px ({difference(made)})"
    assert found.lines()[-1] == "next: simtrain export shop --out bundles/shop"


def test_a_better_run_is_chosen_on_val_among_the_better_ones() -> None:
    first, second, third = run("better", name="a"), run("better", name="b"), run("worse", name="c", difference=-0.1)
    found = answer(untouched(), first, second, third, validation={"a": 0.5, "b": 0.6, "c": 0.9})
    assert found.run == "b"
    assert found.reasons[0] == "b is chosen among 3 runs by map_at_r on val."


def test_a_run_that_an_untouched_encoder_beats_is_not_taken() -> None:
    made = run("better")
    found = answer(untouched(), untouched("big", quality=0.7, word="better"), made, validation={"clip": 0.9})
    assert (found.answer, found.encoder) == ("not yet", "clip")
    assert found.sentence == (
        f"not yet: shop is better than untouched clip, 224 px ({difference(made)}), but untouched big, 224 px, which "
        "no run has trained, has more on test (73.0 against 63.0 %); meanwhile keep untouched clip, 224 px"
    )
    assert found.command == "simtrain export clip --catalog 'data/my shop' --out bundles/clip"


def test_a_run_that_is_worse_is_left() -> None:
    made = run("worse", difference=-0.1)
    found = answer(untouched(), made)
    assert (found.answer, found.encoder) == ("keep", "clip")
    assert found.sentence == f"keep untouched clip, 224 px: it costs nothing, and shop is worse ({difference(made)})"


def test_mixed_verdicts_are_not_hidden() -> None:
    against = Contradiction(metric="recall_at_1", relevance="label", baseline="clip", word="worse", difference=-0.031)
    made = run("mixed", contradictions=(against,))
    found = answer(untouched(), made)
    assert found.sentence == (
        f"not yet: shop is better than untouched clip, 224 px ({difference(made)}), but worse by recall_at_1 by label "
        "(-3.1 points); meanwhile keep untouched clip, 224 px"
    )


def test_texts_that_are_worse_count() -> None:
    found = answer(untouched(), run("better"), text_verdicts=[worse_texts()])
    assert found.answer == "not yet"
    assert "but worse by text_to_image_recall_at_1 against ridge_map_of_shop; meanwhile" in found.sentence


@pytest.mark.parametrize(("ahead", "expected"), [(0.01, "not yet"), (-0.01, "keep")])
def test_what_is_not_shown_is_not_promised(ahead: float, expected: str) -> None:
    made = run("not shown to be better", difference=ahead, resolvable_difference=0.05)
    found = answer(untouched(), made)
    assert (found.answer, found.encoder) == (expected, "clip")
    if expected == "not yet":
        assert found.sentence == (
            f"not yet: shop is not shown to be better than untouched clip, 224 px ({difference(made)}); meanwhile keep "
            "untouched clip, 224 px"
        )
    else:
        assert found.sentence == (
            f"keep untouched clip, 224 px: it costs nothing, and shop is not shown to be better ({difference(made)})"
        )
    verdict = made.relevances[RELEVANCE].verdict
    assert verdict is not None
    assert found.reasons == (
        f"{verdict.queries} queries of {verdict.products} products show a difference of 5.0 points or more: more test "
        "products would show a smaller one.",
    )


def test_categories_that_fall_are_told_beside_a_better_run() -> None:
    falls = Contradiction(metric="map_at_r", relevance="mug", baseline="clip", word="worse", difference=-0.12)
    assert answer(untouched(), run("better", falling_categories=(falls,))).reasons == ("shop is worse in mug (-12.0 "
                                                                                       "points).",)  # fmt: skip


@pytest.mark.parametrize(("word", "expected"), [("worse", "take"), ("better", "keep"), ("mixed", "not yet")])
def test_a_run_may_be_what_the_others_are_compared_with(word: VerdictWord, expected: str) -> None:
    found = answer(untouched(word=word, quality=0.6), run(None), baseline="shop")
    assert found.answer == expected


def test_without_runs_the_best_on_val_is_kept() -> None:
    found = answer(untouched(), untouched("big", quality=0.7, word="better"), validation={"clip": 0.9, "big": 0.8})
    assert found.sentence == (
        "keep untouched clip, 224 px: the best on val of 2 encoders without fine-tuning (map_at_r on test 53.0 %)"
    )
    assert (found.answer, found.run) == ("keep", None)


def test_of_two_that_are_equally_good_the_one_with_weights_is_kept() -> None:
    names = ("histogram_hsv", "clip")
    found = answer(*(untouched(name, word=None) for name in names), validation=dict.fromkeys(names, 0.9))
    assert found.encoder == "clip"


def test_an_encoder_that_no_command_exports_is_passed_over_and_told() -> None:
    found = answer(untouched(export=None), untouched("big", word="worse", quality=0.4), validation={"clip": 0.9})
    assert found.encoder == "big"
    assert found.reasons[0].startswith(
        "By label it is worse than untouched clip, 224 px (map_at_r by label -10.0 points"
    )
    assert found.reasons[1:] == ("untouched clip, 224 px is better on val, but cannot be exported by a command.",)
    assert answer(untouched(export=None)).command is None


def test_a_run_alone_has_nothing_to_be_better_than() -> None:
    found = answer(run(None), baseline="shop")
    assert found.sentence == "not yet: shop is the best run on test, and no untouched encoder was compared"


def test_it_stands_first_and_in_the_json() -> None:
    found = answer(untouched(), run("better"))
    report = replace(tiny_comparison(), recommendation=found)
    assert str(report).splitlines()[:2] == found.lines()
    plain = json.loads(json.dumps(report.to_dict()))["recommendation"]
    assert (plain["answer"], plain["encoder"], plain["command"]) == (found.answer, found.encoder, found.command)
