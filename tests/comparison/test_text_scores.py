"""Text retrieval of several folds as one, against that of each fold."""

from pathlib import Path

import numpy as np
import pytest
from small_folds import angles, small_fold
from small_texts import EAST, NORTH, Dictionary
from tiny_training import catalog_of

from simtrain.comparison.folds import Fold
from simtrain.comparison.text_scores import PooledTextScores, pooled_text_scores
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.evaluation.text_task import TextTasks, text_tasks

SHOP = catalog_of(
    Path("shop"),
    split=["train"] * 8,
    product=list("aabbccdd"),
    fold=[0] * 4 + [1] * 4,
    caption=["red mug"] * 2 + ["blue mug"] * 2 + ["red cup"] * 2 + ["blue cup"] * 2,
)
WORDS = Dictionary({"red mug": NORTH, "blue mug": EAST, "red cup": EAST, "blue cup": NORTH})
LOOKUP = angles(0, 10, 80, 90, 0, 10, 80, 90)  # so that mugs are where their texts are, and cups are not


def folds_and_texts() -> tuple[list[Fold], list[TextTasks | None]]:
    folds = [small_fold(SHOP, number=number) for number in range(2)]
    texts = [text_tasks(one.catalog, one.main_task.rows, captions="{caption}", templates=[]) for one in folds]
    return folds, texts


def pooled() -> PooledTextScores:
    found = pooled_text_scores([WORDS, WORDS], [LOOKUP, LOOKUP], *folds_and_texts())
    assert found is not None
    return found


def test_folds_are_pooled_text_by_text() -> None:
    found = pooled()
    assert found.texts == "captions"
    assert sorted(found.values["text_to_image_recall_at_1"].tolist()) == [0.0, 0.0, 1.0, 1.0]
    assert len(found.values["image_to_text_recall_at_1"]) == 8
    assert len(set(found.clusters["text_to_image_recall_at_1"].tolist())) == 4  # no product of one fold is in the other
    of_images = found.clusters["image_to_text_recall_at_1"]
    assert np.unique(of_images, return_counts=True)[1].tolist() == [2, 2, 2, 2]


def test_each_metric_has_its_interval() -> None:
    found = pooled()
    intervals = found.intervals(bootstrap=BootstrapSettings(draws=200, confidence=0.9, seed=0))
    assert intervals.keys() == found.values.keys()
    for name, values in found.values.items():
        assert intervals[name].mean == pytest.approx(values.mean())


def test_without_texts_or_a_text_encoder_there_are_none() -> None:
    folds, texts = folds_and_texts()
    assert pooled_text_scores([WORDS, WORDS], [LOOKUP, LOOKUP], folds, [None, None]) is None
    pixels = PixelsEncoder(image_size=8, resize="pad")
    assert pooled_text_scores([pixels, pixels], [LOOKUP, LOOKUP], folds, texts) is None
