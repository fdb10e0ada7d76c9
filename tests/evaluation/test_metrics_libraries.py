"""Metrics against those of pytorch-metric-learning and torchmetrics, with ties and without."""

import numpy as np
import pytest
import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import CustomKNN
from tied_retrieval import loop_ranking, retrieval_set, tied_set
from torchmetrics import Metric
from torchmetrics.retrieval import RetrievalHitRate, RetrievalMRR, RetrievalPrecision, RetrievalRPrecision

from simtrain.evaluation.metrics import score_queries


def test_metrics_equal_pytorch_metric_learning_without_ties() -> None:
    generator = torch.Generator().manual_seed(3)
    embeddings = torch.nn.functional.normalize(torch.randn(81, 16, generator=generator), dim=1)
    groups = np.random.default_rng(3).integers(0, 12, size=81)
    groups[80] = 99  # a lone query, which both leave out
    calculator = AccuracyCalculator(
        exclude=("NMI", "AMI", "mean_average_precision"),
        k=None,
        device=torch.device("cpu"),
        knn_func=CustomKNN(LpDistance(normalize_embeddings=False)),
    )
    expected = calculator.get_accuracy(embeddings, torch.from_numpy(groups))
    scores = score_queries(retrieval_set(embeddings, groups.tolist()))
    means = scores.means()
    assert scores.lone_queries == 1
    assert means["recall_at_1"] == pytest.approx(expected["precision_at_1"])
    assert means["r_precision"] == pytest.approx(expected["r_precision"])
    assert means["map_at_r"] == pytest.approx(expected["mean_average_precision_at_r"])
    assert means["mrr"] == pytest.approx(expected["mean_reciprocal_rank"])


TIED = [(seed, protocol) for seed in (0, 1) for protocol in ("leave-one-out", "overlapping")]


@pytest.mark.parametrize(("seed", "protocol"), TIED)
def test_metrics_equal_pytorch_metric_learning_where_most_similarities_are_tied(seed: int, protocol: str) -> None:
    retrieval = tied_set(seed=seed, items=60, protocol=protocol)
    scores = score_queries(retrieval)
    # Its own search has ties in any order; here the gallery is given in the loop's order, and "found" as it is.
    calculator = AccuracyCalculator(
        exclude=("NMI", "AMI", "mean_average_precision"),
        k=None,
        device=torch.device("cpu"),
        knn_func=lambda query, k, *_: (torch.zeros(1, k), torch.arange(k)[None]),
    )
    found = []
    for query in scores.query_rows:
        ranking = loop_ranking(retrieval, query)
        found.append(
            calculator.get_accuracy(
                torch.zeros(1, 1),
                retrieval.query_groups[[query]],
                torch.zeros(len(ranking), 1),
                retrieval.gallery_groups[ranking],
            )
        )
    for name, theirs in {
        "recall_at_1": "precision_at_1",
        "r_precision": "r_precision",
        "map_at_r": "mean_average_precision_at_r",
        "mrr": "mean_reciprocal_rank",
    }.items():
        np.testing.assert_allclose(scores.values[name], [one[theirs] for one in found], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize(("seed", "protocol"), TIED)
def test_metrics_equal_torchmetrics_where_most_similarities_are_tied(seed: int, protocol: str) -> None:
    retrieval = tied_set(seed=seed, items=60, protocol=protocol)
    scores = score_queries(retrieval, recall_ks=(1, 5), precision_ks=(1, 5, 10, 1000))
    theirs: dict[str, Metric] = {"r_precision": RetrievalRPrecision(), "mrr": RetrievalMRR()}
    theirs |= {f"recall_at_{k}": RetrievalHitRate(top_k=k) for k in (1, 5)}
    theirs |= {f"precision_at_{k}": RetrievalPrecision(top_k=k) for k in (1, 5, 10, 1000)}
    for name, metric in theirs.items():
        for place, query in enumerate(scores.query_rows):
            ranking = loop_ranking(retrieval, query)
            relevance = torch.tensor(retrieval.gallery_groups[ranking] == retrieval.query_groups[query])
            # It has ties in any order, so it is given falling numbers in the loop's order, not the similarities.
            falling = torch.arange(len(ranking), 0, -1).float() / len(ranking)
            metric.update(falling, relevance, indexes=torch.full((len(ranking),), place))
        assert scores.means()[name] == pytest.approx(float(metric.compute())), name
