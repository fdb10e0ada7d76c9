from collections.abc import Sequence
from typing import Any

import pytest

from simtrain.catalog.inspection.caption_findings import caption_findings, estimated_clip_tokens


def of_captions(captions: Sequence[str | None], products: Sequence[str | None] | None = None) -> list[dict[str, Any]]:
    ids = [f"i{row}" for row in range(len(captions))]
    return caption_findings(ids, captions, products=products or [None] * len(captions))


def test_without_any_caption_nothing_is_said_about_them() -> None:
    assert of_captions([None, " ", ""]) == []


def test_empty_captions_are_told() -> None:
    assert of_captions(["a chair", None, " \t"]) == [
        {"kind": "captions_empty", "ids": ["i1", "i2"], "message": "2 images have no caption, such as 'i1'"}
    ]


def test_repeated_captions_are_told_most_frequent_first() -> None:
    different = [f"text {row}" for row in range(6)]
    assert of_captions(["Oak  chair", "lamp", "oak chair", "lamp", "OAK chair", *different]) == [
        {
            "kind": "captions_repeated",
            "caption": "Oak  chair",
            "ids": ["i0", "i2", "i4"],
            "message": "3 images of 3 different products have the caption 'Oak chair': 'i0', 'i2' and 'i4'",
        },
        {
            "kind": "captions_repeated",
            "caption": "lamp",
            "ids": ["i1", "i3"],
            "message": "2 images of 2 different products have the caption 'lamp': 'i1' and 'i3'",
        },
    ]


def test_images_of_one_product_may_share_their_caption() -> None:
    assert of_captions(["a chair"] * 3 + ["a lamp"], ["p", "p", "p", None]) == []


def test_captions_that_mostly_repeat_are_templates() -> None:
    assert of_captions(["shoe", "bag", "shoe", "bag", "a red felt hat", None])[1:] == [
        {
            "kind": "captions_are_templates",
            "captions": ["bag", "shoe"],
            "ids": ["i0", "i1", "i2", "i3"],
            "message": "4 of 5 captions are shared by different products, which makes them templates or categories "
            "rather than descriptions; 2 texts: 'bag' and 'shoe'",
        }
    ]


def test_long_captions_are_told_as_estimates() -> None:
    assert of_captions(["chair " * 75, "chair " * 76, "chair " * 90]) == [
        {
            "kind": "captions_over_77_tokens",
            "ids": ["i1", "i2"],
            "tokens": [78, 92],
            "message": "by an estimate, 2 captions have more than 77 tokens, where CLIP stops reading; the longest, of "
            "'i2', about 92",
        }
    ]


@pytest.mark.parametrize(
    ("text", "tokens"),  # as CLIP's own byte pairs count them
    [
        ("a photo of a cat", 7),
        ("hello world!", 5),
        ("white ceramic mug with a wooden handle", 9),
        ("men's running shoes, size 42", 10),
        ("صندلی چوبی دسته‌دار", 21),
        ("گلدان سرامیکی آبی", 17),
        ("деревянный стул", 20),
    ],
)
def test_estimate_is_near_what_clip_counts(text: str, tokens: int) -> None:
    assert estimated_clip_tokens(text) == pytest.approx(tokens, rel=0.25)


def test_one_accent_does_not_make_a_text_foreign() -> None:
    english = "a handsome lamp for the corner of any living room or hall " * 4
    assert estimated_clip_tokens(f"{english} décor") == estimated_clip_tokens(f"{english} decor")
    assert estimated_clip_tokens("chaise dépliante en chêne massif") > estimated_clip_tokens("chaise en bois massif")
