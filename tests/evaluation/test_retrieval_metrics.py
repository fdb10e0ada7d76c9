"""Retrieval metrics of one's own embeddings and labels, against pytorch-metric-learning and by hand."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import CosineSimilarity
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN

from simtrain.evaluation.retrieval_metrics import retrieval_metrics

GENERATOR = np.random.default_rng(0)


def test_figures_are_those_of_pytorch_metric_learning():
    embeddings, labels = GENERATOR.normal(size=(60, 8)).astype(np.float32), GENERATOR.integers(0, 12, 60)
    library = AccuracyCalculator(
        include=("precision_at_1", "mean_average_precision_at_r", "r_precision"),
        knn_func=CustomKNN(CosineSimilarity()),
        device=torch.device("cpu"),
    )
    expected = library.get_accuracy(torch.from_numpy(embeddings), torch.from_numpy(labels))
    found = retrieval_metrics(embeddings, labels, draws=100)
    assert found.metrics["recall_at_1"].mean == pytest.approx(expected["precision_at_1"])
    assert found.metrics["map_at_r"].mean == pytest.approx(expected["mean_average_precision_at_r"])
    assert found.metrics["r_precision"].mean == pytest.approx(expected["r_precision"])


def test_a_gallery_is_searched_instead_of_the_queries():
    queries = torch.eye(2)
    gallery = torch.tensor([[1.0, 0.1], [0.9, 0.2], [0.1, 1.0]])
    found = retrieval_metrics(queries, ["cup", "chair"], gallery=(gallery, ["plate", "cup", "chair"]), draws=100)
    assert found.metrics["recall_at_1"].mean == 0.5  # the cup finds a plate first, the chair a chair
    assert found.metrics["mrr"].mean == pytest.approx((1 / 2 + 1) / 2)
    assert found.gallery == 3


def test_labels_that_are_missing_are_relevant_to_nothing():
    embeddings = [[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]
    found = retrieval_metrics(embeddings, ["a", "a", None, float("nan")], draws=100)
    assert (found.queries, found.lone_queries) == (2, 2)


def test_lengths_do_not_matter():
    embeddings = GENERATOR.normal(size=(20, 4))
    scaled = embeddings * GENERATOR.uniform(0.1, 9, size=(20, 1))
    labels = [row // 2 for row in range(20)]
    one, other = (retrieval_metrics(each, labels, draws=100) for each in (embeddings, scaled))
    assert one.metrics["map_at_r"].mean == pytest.approx(other.metrics["map_at_r"].mean)


@pytest.mark.parametrize(
    ("embeddings", "labels", "message"),
    [
        ([[1.0, 0.0], [0.0, 0.0]], [0, 0], "embeddings: row 1 has no direction: zero, NaN or infinite"),
        ([[1.0, float("nan")], [0.0, 1.0]], [0, 0], "embeddings: row 0 has no direction: zero, NaN or infinite"),
        ([1.0, 0.0], [0, 0], r"embeddings: got shape \(2,\); allowed: \(N, D\)"),
        ([[1.0, 0.0], [0.0, 1.0]], [0], "labels: 1 labels for 2 embeddings"),
        ([[1.0, 0.0], [0.0, 1.0]], [0, 1], "none of 2 queries has a relevant item in the gallery of 2"),
    ],
)
def test_what_cannot_be_scored_is_refused(embeddings: list, labels: list, message: str):
    with pytest.raises(ValueError, match=f"^{message}$"):
        retrieval_metrics(embeddings, labels)


def test_a_gallery_of_other_dimensions_is_refused():
    with pytest.raises(ValueError, match=r"^gallery: embeddings of 3 dimensions, the queries' have 2$"):
        retrieval_metrics(torch.eye(2), [0, 1], gallery=(torch.eye(3), [0, 1, 2]))


def test_intervals_are_of_labels_and_repeatable():
    embeddings, labels = GENERATOR.normal(size=(40, 6)), [row // 4 for row in range(40)]
    one, other = (retrieval_metrics(embeddings, labels, draws=200, seed=3) for _ in range(2))
    assert one == other
    assert one.metrics["map_at_r"].low <= one.metrics["map_at_r"].mean <= one.metrics["map_at_r"].high
