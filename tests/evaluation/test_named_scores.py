"""Metrics by name, and what each is made of by product."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import catalog_of

from simtrain.evaluation.further_relevance import with_further_relevance
from simtrain.evaluation.named_scores import NamedScores, named_scores
from simtrain.evaluation.protocol import retrieval_task
from simtrain.evaluation.relevance import same, same_kind

SHOP = catalog_of(
    Path("shop"),
    split=["test"] * 12,
    product=[f"p{row // 2}" for row in range(11)] + ["alone"],  # the last two pictures find nothing by product
    label=["cup"] * 6 + ["lamp"] * 6,
)
GENERATOR = torch.Generator().manual_seed(5)
NOISE = torch.randn(12, 6, generator=GENERATOR)
VECTORS = torch.nn.functional.normalize(torch.eye(6).repeat_interleave(2, dim=0) + 0.5 * NOISE, dim=1)


def scored() -> NamedScores:
    task = retrieval_task(SHOP, split="test", gallery_splits=None, relevance=same(["product"]))
    kind = same_kind(SHOP, columns=["label"], other=["product"])
    return named_scores(with_further_relevance(task, SHOP, [kind]), VECTORS)


def figure(sums: np.ndarray, counts: np.ndarray) -> float:
    means = [sums[:, column].sum() / counts[:, column].sum() for column in range(sums.shape[1])]
    return math.prod(means) ** (1 / len(means))


@pytest.mark.parametrize("name", ["map_at_r", "kind_recall_at_1", "balanced"])
def test_the_sums_of_all_products_make_the_figure(name: str) -> None:
    named = scored()
    products = named.product_sums(name)
    assert figure(products.sums, products.counts) == pytest.approx(named.means()[name])
    assert products.counts.shape == ((7 if name != "map_at_r" else 5), 4 if name == "balanced" else 1)


def test_a_product_without_its_queries_is_the_figure_of_the_others() -> None:
    named = scored()
    rows = np.arange(10) // 2  # the scored queries of five products
    by_hand = [named.values["mrr"][rows != product].mean() for product in range(5)]
    assert named.product_sums("mrr").without_each() == pytest.approx(by_hand)


def test_two_are_joined() -> None:
    texts = NamedScores(
        values={"text_to_image_recall_at_1": np.array([1.0, 0.0])},
        clusters={"text_to_image_recall_at_1": np.array([3, 3])},
    )
    both = scored() | texts
    assert both.means()["text_to_image_recall_at_1"] == 0.5
    assert both.means()["balanced"] == scored().means()["balanced"]
    assert both.product_sums("text_to_image_recall_at_1").sums.tolist() == [[1.0]]
