"""Splits and labels from folders."""

from typing import Any

import pytest

from simtrain.catalog.sources.folder_splits import conventional_parts, folder_split


def parts(*paths: str) -> tuple[list[Any], list[Any], list[dict[str, Any]]]:
    found, told = conventional_parts(paths)
    return list(found["split"]), list(found["label"]), told


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("testing", "test"),
        ("train_images", "train"),
        ("images-test", "test"),
        ("valSet", "val"),
        ("train2017", "train"),
        ("seg_test", "test"),
        ("Validation Set", "val"),
        ("train station", None),
        ("test_val", None),
        ("trainers", None),
        ("toy-train", None),
    ],
)
def test_names_of_splits(name: str, split: str | None) -> None:
    assert folder_split(name) == split


def test_splits_below_a_folder_that_holds_everything(tmp_path: Any) -> None:
    splits, labels, told = parts("zip/train/mug/a.jpg", "zip/train/hat/b.jpg", "zip/valid/mug/c.jpg")
    assert (splits, labels) == (["train", "train", "val"], ["mug", "hat", "mug"])
    assert [finding["kind"] for finding in told] == ["splits_found"]


def test_splits_two_folders_deep_with_odd_names() -> None:
    splits, labels, _ = parts("a/b/train_set/x/1.jpg", "a/b/test_set/x/2.jpg")
    assert (splits, labels) == (["train", "test"], ["x", "x"])


def test_splits_below_the_labels() -> None:
    splits, labels, _ = parts("mug/train/a.jpg", "mug/test/b.jpg", "hat/train/c.jpg")
    assert (splits, labels) == (["train", "test", "train"], ["mug", "mug", "hat"])


def test_a_readme_picture_beside_the_splits_is_told() -> None:
    splits, labels, told = parts("zip/cover.jpg", "zip/train/mug/a.jpg", "zip/test/mug/b.jpg")
    assert (splits, labels) == ([None, "train", "test"], ["zip", "mug", "mug"])
    assert [finding["kind"] for finding in told] == ["splits_found", "images_outside_split_folders"]


def test_one_such_folder_alone_is_a_label_and_told() -> None:
    splits, labels, told = parts("toys/train/a.jpg", "toys/car/b.jpg")
    assert (splits, labels) == ([None, None], ["toys/train", "toys/car"])
    (finding,) = told
    assert finding["message"] == (
        "'train' stands inside the label of 1 image, such as 'toys/train'; if it is the split: --set "
        "levels=[level1,split], with label or product for the level that is one"
    )


def test_usual_splits_need_no_word() -> None:
    assert parts("train/mug/a.jpg", "test/mug/b.jpg")[2] == []


@pytest.mark.parametrize(("train", "test"), [("trn", "tst"), ("shoes_train", "shoes_test"), ("eval", "holdout")])
def test_names_that_sound_like_splits_are_told(train: str, test: str) -> None:
    parts, (finding,) = conventional_parts([f"{train}/mug/0.png", f"{test}/mug/1.png"])
    assert parts["split"] == [None, None]
    assert finding["kind"] == "split_inside_label"
    first, second = sorted([train, test])
    assert finding["message"] == (
        f"folders '{first}' and '{second}' sound like splits, and are read as a part of the label; if they are: rename "
        "them to train, val and test, or give a table with a column split"
    )
