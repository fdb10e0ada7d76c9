"""Texts that repeat or are missing."""

from typing import Any

import pytest
from small_conflicts import config_of, found, shop

from simtrain.preflight.conflict import Conflict


def told(config: dict[str, Any], captions: list[str | None]) -> list[Conflict]:
    catalog = shop(
        {"product": [f"p{row // 2}" for row in range(60)], "caption": captions, "split": ["train"] * 45 + ["val"] * 15}
    )
    encoder = {"kind": "clip", "model": "nowhere"}
    conflicts = found(config_of({"kind": "image_text", **config}, encoder=encoder, data={"batch_size": 16}), catalog)
    return [conflict for conflict in conflicts if conflict.kind in ("repeated texts", "untold images", "one text")]


def test_texts_that_repeat_are_false_negatives_of_a_plain_loss() -> None:
    templates = {"templates": ["{caption}", "a photo of {caption}"]}
    (conflict,) = told({"positives": [], **templates}, ["a mug", "a cup", "a lamp"] * 20)
    # 45 images, 15 of each text: of 15 others in a batch, 14 of 44 have the same.
    assert conflict.figures == {"texts": 6, "images": 45, "false_negatives": pytest.approx(15 * 14 / 44)}
    assert conflict.message == (
        "6 different texts among 45 images: on average 4.8 others of a batch have the same text and count as "
        "wrong answers; add 'text' to positives"
    )
    assert told({"positives": [], "loss": "sigmoid"}, ["a mug", "a cup", "a lamp"] * 20)
    assert not told(templates, ["a mug", "a cup", "a lamp"] * 20)
    assert not told({"positives": []}, ["a mug", "a cup", "a lamp"] * 20)
    assert not told({"positives": [], **templates}, [f"mug {number}" for number in range(60)])


def test_images_that_are_mostly_untold_are_reported() -> None:
    (conflict,) = told({}, [f"mug {row}" if row < 20 else None for row in range(60)])
    assert (
        conflict.message == "25 of 45 training images have no text of '{caption}'; the image-text loss leaves them out"
    )


def test_one_text_for_all_images_is_nothing_to_learn_from() -> None:
    (conflict,) = told({}, ["a mug"] * 60)
    assert (conflict.kind, conflict.message) == (
        "one text",
        "all 45 training images with a text have the same text 'a mug': there is nothing to learn from it; name a "
        "column that differs in a template",
    )
