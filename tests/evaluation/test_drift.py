"""How near images have stayed to their start: arithmetic on a few vectors, and paired intervals."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import catalog_of
from torch import Tensor

from simtrain.evaluation.drift import EmbeddingDrift, embedding_drift
from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_differences
from simtrain.evaluation.text_task import TextTasks, text_tasks

LOST = "text_to_image_recall_at_5 of captions has lost more than 1 point"
WORDS = [f"text {place}" for place in range(6)]


def turned(angles: Sequence[float]) -> Tensor:
    return torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles])


class Compass:
    """A text encoder that turns a text by the number at its end."""

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        return turned([float(text.split()[1]) for text in texts])


def six_texts() -> TextTasks:
    catalog = catalog_of(Path("shop"), caption=WORDS, product=list("aabbcc"))
    task = text_tasks(catalog, np.arange(6), captions="{caption}", templates=[])
    assert task is not None
    return task


def compared(tuned: Tensor, start: Tensor, *, texts: bool) -> EmbeddingDrift:
    task, encoder = six_texts(), Compass()
    return embedding_drift(
        tuned,
        start,
        tuned_scores=task.scores_by_kind(tuned, encoder) if texts else {},
        start_scores=task.scores_by_kind(start, encoder) if texts else {},
        bootstrap=BootstrapSettings(draws=300, confidence=0.9, seed=4),
    )


def kept(*, mean: float, lost: Interval | None) -> EmbeddingDrift:
    of_captions = {} if lost is None else {"captions": {"text_to_image_recall_at_5": lost}}
    return EmbeddingDrift(images=9, mean=mean, low=mean, lowest=mean, start={}, lost=of_captions, confidence=0.95)


def test_cosines_are_of_the_angles_that_images_have_turned_by() -> None:
    turns = [0.1 * place for place in range(21)]
    found = compared(turned([1 + turn for turn in turns]), turned([1.0] * 21), texts=False)
    cosines = sorted(math.cos(turn) for turn in turns)
    assert found.images == 21
    assert found.mean == pytest.approx(sum(cosines) / 21)
    assert found.lowest == pytest.approx(cosines[0])
    assert found.low == pytest.approx(cosines[1])  # of 21 values the second lowest is the 5th percentile
    assert (found.start, found.lost) == ({}, {})


def test_what_texts_lose_is_paired_text_by_text() -> None:
    # The start finds every text; of the tuned images two have changed places, and are found by each other's texts.
    start, tuned = turned([0, 1, 2, 3, 4, 5]), turned([1, 0, 2, 3, 4, 5])
    found = compared(tuned, start, texts=True)
    assert found.start["captions"]["text_to_image_recall_at_1"] == 1
    expected = cluster_bootstrap_differences(
        {"lost": np.array([1.0, 1, 0, 0, 0, 0])},
        np.array([0, 0, 1, 1, 2, 2]),
        bootstrap=BootstrapSettings(draws=300, confidence=0.9, seed=4),
    )["lost"]
    assert expected.mean == pytest.approx(1 / 3)
    assert found.lost["captions"]["text_to_image_recall_at_1"] == expected
    assert found.lost["captions"]["image_to_text_recall_at_1"] == expected


def test_nothing_moved_is_nothing_lost() -> None:
    start = turned([0, 1, 2, 3, 4, 5])
    found = compared(start, start, texts=True)
    assert (found.mean, found.lowest) == (pytest.approx(1), pytest.approx(1))
    assert set(found.lost["captions"].values()) == {Interval(mean=0, low=0, high=0)}
    assert found.text_mismatch() is None


@pytest.mark.parametrize(
    ("mean", "lost", "expected"),
    [
        (0.95, None, None),
        (0.89, None, "their cosine is below 0.9 on average"),
        (0.95, Interval(mean=0.03, low=0.011, high=0.05), LOST),
        (0.95, Interval(mean=0.03, low=0.009, high=0.05), None),
        (0.95, Interval(mean=0.03, low=math.nan, high=math.nan), None),
    ],
)
def test_texts_no_longer_fit_if_they_surely_lost_a_point_or_images_turned_far(
    mean: float, lost: Interval | None, expected: str | None
) -> None:
    found = kept(mean=mean, lost=lost)
    assert found.text_mismatch() == expected
    assert found.to_dict()["texts_fit"] is (expected is None)


def test_an_interval_that_cannot_be_told_is_null_in_json() -> None:
    written = kept(mean=0.95, lost=Interval(mean=0.5, low=math.nan, high=math.nan)).to_dict()
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert written["lost"] == {"captions": {"text_to_image_recall_at_5": {"mean": 0.5, "low": None, "high": None}}}
    assert written["cosine"] == {"mean": 0.95, "percentile_5": 0.95, "lowest": 0.95}
