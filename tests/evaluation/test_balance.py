"""The balanced score, against products of shares."""

import pytest

from simtrain.evaluation.balance import balanced_parts, balanced_score

FOUR = {"map_at_r": 0.5, "recall_at_1": 0.8, "kind_map_at_r": 0.1, "kind_recall_at_1": 0.4}


def test_it_is_the_geometric_mean():
    assert balanced_score(FOUR) == pytest.approx((0.5 * 0.8 * 0.1 * 0.4) ** 0.25)
    assert balanced_score({"map_at_r": 0.3, "recall_at_1": 0.3}) == pytest.approx(0.3)


def test_metrics_of_texts_and_other_metrics_do_not_count():
    others = {
        "recall_at_10": 0.9,
        "mrr": 0.9,
        "r_precision": 0.9,
        "text_to_image_map_at_r": 0.9,
        "image_to_text_recall_at_1": 1,
    }
    assert balanced_score(FOUR | others) == balanced_score(FOUR)
    assert balanced_parts([*others, *FOUR]) == list(FOUR)


def test_equal_shares_of_gain_and_loss_cancel():
    gained = FOUR | {"map_at_r": 0.5 * 1.1, "kind_map_at_r": 0.1 / 1.1}
    assert balanced_score(gained) == pytest.approx(balanced_score(FOUR))


def test_where_one_finds_nothing_the_others_decide():
    nothing = FOUR | {"kind_map_at_r": 0.0, "kind_recall_at_1": 0.0}
    assert balanced_score(nothing) == pytest.approx((0.5 * 0.8 * 0.001 * 0.001) ** 0.25)
    assert balanced_score(nothing | {"map_at_r": 0.6}) > balanced_score(nothing)
    assert balanced_score(FOUR | {"kind_map_at_r": 0.0005}) == balanced_score(FOUR | {"kind_map_at_r": 0.0})


def test_nothing_to_balance_is_refused():
    with pytest.raises(ValueError, match="got mrr; needed: map_at_r or recall_at_1"):
        balanced_score({"mrr": 0.5})
