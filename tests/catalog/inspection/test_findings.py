from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simtrain.catalog.inspection.facts import ImageFacts
from simtrain.catalog.inspection.findings import (
    BLANK_CONTRAST,
    duplicate_conflicts,
    duplicate_findings,
    label_findings,
    near_duplicate_findings,
    picture_findings,
)


def facts(width: int = 100, height: int = 100, **changed: Any) -> ImageFacts:
    told = {"sha256": "", "pixel_sha256": "", "contrast": 200, "fingerprint": b"", "note": None, "problem": None}
    return ImageFacts(width=width, height=height, **(told | changed))


def of_pictures(images: Sequence[ImageFacts]) -> list[dict[str, Any]]:
    return picture_findings("abcdefgh"[: len(images)], images, smallest_side=64, largest_aspect=4.0)


def of_labels(labels: Sequence[str | None], splits: Sequence[str | None], **changed: Any) -> list[dict[str, Any]]:
    settings = {"largest_imbalance": 100.0, "protocol": "closed_set"} | changed
    return label_findings([f"i{row}" for row in range(len(labels))], labels, splits, **settings)


def contrast_of_jpeg(color: Sequence[int], *, noise: float, quality: int, seed: int) -> int:
    """As `ImageFacts.contrast` says, of a noisy flat picture that was saved as a JPEG."""
    noisy = np.asarray(color) + np.random.default_rng(seed).normal(0, noise, (256, 256, 3))
    file = BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    small = np.asarray(Image.open(file).resize((16, 16), Image.Resampling.BOX)).astype(int).reshape(-1, 3)
    return int((small.max(axis=0) - small.min(axis=0)).max())


def test_pictures_without_fault_give_nothing() -> None:
    assert of_pictures([facts(), facts(64, 255), facts(contrast=BLANK_CONTRAST + 1)]) == []


def test_side_below_the_limit_is_tiny() -> None:
    assert of_pictures([facts(64, 64), facts(63, 90), facts(70, 20)]) == [
        {
            "kind": "tiny_images",
            "ids": ["b", "c"],
            "widths": [63, 70],
            "heights": [90, 20],
            "smallest_side": 64,
            "message": "2 images have a side below 64 pixels; the smallest is 'c' with 70 by 20",
        }
    ]


def test_aspect_from_the_limit_on_is_extreme_either_way() -> None:
    assert of_pictures([facts(400, 101), facts(400, 100), facts(100, 500)]) == [
        {
            "kind": "extreme_aspect_images",
            "ids": ["b", "c"],
            "widths": [400, 100],
            "heights": [100, 500],
            "largest_aspect": 4.0,
            "message": "2 images are at least 4 times as long one way as the other; the most extreme is 'c' with "
            "100 by 500",
        }
    ]


def test_flat_pictures_are_blank() -> None:
    (finding,) = of_pictures([facts(contrast=0), facts(contrast=BLANK_CONTRAST), facts(contrast=BLANK_CONTRAST + 1)])
    assert (finding["kind"], finding["ids"]) == ("blank_images", ["a", "b"])
    assert finding["message"] == "2 images show little but one flat colour: 'a' and 'b'"


@pytest.mark.parametrize("color", [(255, 255, 255), (128, 128, 128), (0, 0, 0), (30, 60, 200), (210, 40, 40)])
@pytest.mark.parametrize("quality", [75, 95])
def test_noisy_flat_colours_are_within_the_limit(color: tuple[int, int, int], quality: int) -> None:
    assert contrast_of_jpeg(color, noise=5.0, quality=quality, seed=quality) <= BLANK_CONTRAST


def test_a_pale_grey_thing_on_white_is_beyond_the_limit() -> None:
    pixels = np.full((256, 256, 3), 255, dtype=np.uint8)
    pixels[100:160, 80:170] = 238
    small = np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.BOX)).astype(int)
    assert small.max() - small.min() > 2 * BLANK_CONTRAST


def test_notes_are_told_with_their_images() -> None:
    assert of_pictures([facts(), facts(note="odd profile")]) == [
        {
            "kind": "notes_of_reading",
            "ids": ["b"],
            "notes": ["odd profile"],
            "message": "1 image was read with a remark; the first, 'b': odd profile",
        }
    ]


def test_unreadable_pictures_are_not_called_tiny() -> None:
    assert of_pictures([facts(0, 0, contrast=0, problem="cut")]) == []


def test_each_group_of_equal_pictures_is_a_finding() -> None:
    found = duplicate_findings("abcde", ["a", None, "a", "d", "d"], products=[None] * 5, labels=["x"] * 5)
    assert found == [
        {
            "kind": "exact_duplicates",
            "ids": ["a", "c"],
            "message": "2 images show exactly the same picture: 'a' and 'c'",
        },
        {
            "kind": "exact_duplicates",
            "ids": ["d", "e"],
            "message": "2 images show exactly the same picture: 'd' and 'e'",
        },
    ]


def test_duplicates_with_different_values_are_findings() -> None:
    ids, groups = ["a", "b", "c", "d", "e"], ["a", "a", "c", "c", None]
    assert duplicate_conflicts(ids, groups, ["x", "x", "x", None, "y"], column="label") == [
        {
            "kind": "duplicates_differ",
            "column": "label",
            "ids": ["c", "d"],
            "values": ["x", None],
            "message": "'c' and 'd' show exactly the same picture, but their labels differ: 'x' and none",
        }
    ]


def test_duplicates_that_differ_are_told_for_products_then_labels() -> None:
    found = duplicate_findings("ab", ["a", "a"], products=["p", "q"], labels=["x", "y"])
    assert [(one["kind"], one.get("column")) for one in found] == [
        ("exact_duplicates", None),
        ("duplicates_differ", "product"),
        ("duplicates_differ", "label"),
    ]


def test_near_duplicates_say_what_tells_them_apart() -> None:
    found = near_duplicate_findings(
        "abc",
        [(0, 2, 0.98765, True), (0, 1, 1.0, False)],
        products=["p", "p", "q"],
        labels=["x", "x", "x"],
        splits=["train", "train", "test"],
        kept=True,
    )
    assert found[0] == {
        "kind": "near_duplicates",
        "ids": ["a", "c"],
        "similarity": 0.98765,
        "mirrored": True,
        "differ": ["product", "split"],
        "kept_apart": True,
        "products": ["p", "q"],
        "labels": ["x", "x"],
        "splits": ["train", "test"],
        "message": "'a' and 'c' show nearly the same picture (similarity 0.988, mirrored), but their products differ: "
        "'p' and 'q'; their splits differ: 'train' and 'test'",
    }
    assert found[1]["message"] == "'a' and 'b' show nearly the same picture (similarity 1.000)"


def test_an_image_that_is_set_aside_is_in_no_other_split() -> None:
    (finding,) = near_duplicate_findings(
        "ab", [(0, 1, 0.9, False)], products=[None] * 2, labels=[None] * 2, splits=[None, "test"], kept=True
    )
    assert (finding["differ"], finding["splits"]) == ([], [None, "test"])


def test_labels_of_one_image_are_findings() -> None:
    assert of_labels(["b", "b", None, "z", "a"], ["train"] * 5) == [
        {"kind": "label_with_one_image", "label": "a", "ids": ["i4"], "message": "label 'a' has a single image, 'i4'"},
        {"kind": "label_with_one_image", "label": "z", "ids": ["i3"], "message": "label 'z' has a single image, 'i3'"},
    ]


def test_imbalance_is_told_beyond_the_limit_only() -> None:
    labels = ["big"] * 9 + ["mid"] * 3 + ["low"] * 2
    assert of_labels(labels, ["train"] * 14, largest_imbalance=4.5) == []
    assert of_labels(labels, ["train"] * 14, largest_imbalance=4.0) == [
        {
            "kind": "label_imbalance",
            "largest": "big",
            "largest_images": 9,
            "smallest": "low",
            "smallest_images": 2,
            "labels": ["low"],
            "ids": ["i12", "i13"],
            "message": "label 'big' has 9 images and 'low' 2: 4.5 to 1; 1 label has less than 1/4 of the largest",
        }
    ]


def test_labels_that_are_not_in_train_are_findings_of_a_closed_set() -> None:
    labels = ["x", "x", "y", "y", "z", "z"]
    splits = ["train", "test", "val", "test", None, None]
    assert of_labels(labels, splits) == [
        {
            "kind": "labels_only_outside_train",
            "labels": ["y"],
            "ids": ["i2", "i3"],
            "message": "1 label has images in val or test and none in train: 'y'",
        }
    ]
    assert of_labels(labels, splits, protocol="open_set") == []


def test_without_labels_nothing_is_said_about_them() -> None:
    assert of_labels([None, None], ["train", "test"]) == []
