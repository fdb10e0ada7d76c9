"""Further definitions of relevance, against tasks that are made for each of them."""

from pathlib import Path

import pytest
import torch
from tiny_training import catalog_of

from simtrain.errors import CatalogError
from simtrain.evaluation.balance import balanced_score
from simtrain.evaluation.further_relevance import with_further_relevance
from simtrain.evaluation.named_scores import named_scores
from simtrain.evaluation.protocol import evaluate_retrieval, retrieval_task
from simtrain.evaluation.relevance import same, same_kind
from simtrain.evaluation.statistics import BootstrapSettings

SHOP = catalog_of(
    Path("shop"),
    split=["train"] * 2 + ["test"] * 12,
    product=["t", "t", *(f"p{row // 2}" for row in range(12))],
    label=["cup"] * 2 + ["cup"] * 6 + ["lamp"] * 6,
    shape=["round"] * 14,
)
KIND = same_kind(SHOP, columns=["label"], other=["product"])
LABEL = same(["label"])
OTHER_SHAPE = same_kind(SHOP, columns=["label"], other=["shape"])
VECTORS = torch.nn.functional.normalize(torch.randn(12, 4, generator=torch.Generator().manual_seed(5)), dim=1)


def task_by(relevance):
    return retrieval_task(SHOP, split="test", gallery_splits=None, relevance=relevance)


PRODUCT_AND_MORE = with_further_relevance(task_by(same(["product"])), SHOP, [KIND, LABEL])


def test_each_is_scored_as_in_a_task_of_its_own():
    means = named_scores(PRODUCT_AND_MORE, VECTORS).means()
    alone = {name: task_by(one).score(VECTORS).means() for name, one in (("kind", KIND), ("label", LABEL))}
    expected = task_by(same(["product"])).score(VECTORS).means()
    expected |= {f"{name}_{metric}": value for name, found in alone.items() for metric, value in found.items()}
    assert means == {**expected, "balanced": balanced_score(expected)}


def test_evaluation_gives_their_intervals_beside():
    bootstrap = BootstrapSettings(draws=200, confidence=0.9, seed=1)
    found = evaluate_retrieval(PRODUCT_AND_MORE, VECTORS, bootstrap=bootstrap)
    alone = evaluate_retrieval(task_by(KIND), VECTORS, bootstrap=bootstrap)
    assert {name: found.metrics[f"kind_{name}"] for name in alone.metrics} == alone.metrics
    assert found.queries == 12


def test_what_has_no_answer_is_left_out_or_refused():
    task = task_by(same(["product"]))
    found = with_further_relevance(task, SHOP, [KIND, OTHER_SHAPE], answerable_only=True)
    assert list(found.further) == [KIND.name]
    with pytest.raises(CatalogError, match="relevant by same label, other shape only"):
        with_further_relevance(task, SHOP, [OTHER_SHAPE])
