"""The first items by a bounded float32 product are those of the keys of all items, whatever is tied or imprecise."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from simtrain.evaluation.equal_codes import CodeOrder
from simtrain.evaluation.exclusions import Exclusions
from simtrain.evaluation.leading import Similarities
from simtrain.evaluation.ordering_keys import REMOVED_KEY
from simtrain.evaluation.ranking import Ranking

GALLERY, QUERIES, K = 1500, 40, 7


def gallery_of(kind: str, generator: torch.Generator) -> Tensor:
    vectors = torch.randn(GALLERY, 24, generator=generator)
    if kind == "planted ties":
        vectors[GALLERY // 2 :] = vectors[: GALLERY - GALLERY // 2]
    elif kind == "a rounding apart":  # closer to each other than a float32 product can tell
        vectors = vectors[:50].repeat(GALLERY // 50, 1) * (1 + 1e-7 * torch.randn(GALLERY, 24, generator=generator))
    elif kind == "collapsed":
        vectors = vectors[:1].repeat(GALLERY, 1)
    return normalize(vectors, dim=1)


def ranking_of(kind: str, *, seed: int) -> Ranking:
    generator = torch.Generator().manual_seed(seed)
    gallery = gallery_of(kind, generator)
    numbers = np.random.default_rng(seed)
    gallery_codes = numbers.integers(-1, 30, (GALLERY, 2))
    return Ranking.of(
        gallery[:QUERIES],
        gallery,
        query_ids=[f"i{row}" for row in range(QUERIES)],
        gallery_ids=[f"i{row}" for row in range(GALLERY)],
        exclusions=Exclusions(query_codes=gallery_codes[:QUERIES], gallery_codes=gallery_codes),
    )


@pytest.mark.parametrize("product", ["exact", "coarse"])
@pytest.mark.parametrize("kind", ["random", "planted ties", "a rounding apart", "collapsed"])
def test_first_items_and_first_ranks_are_those_of_all_keys(kind: str, product: str) -> None:
    ranking = ranking_of(kind, seed=3)
    rows = np.arange(QUERIES)
    keys = ranking.keys(rows)
    similarities = Similarities.of(ranking, rows)
    if product == "coarse":  # what TF32 or bfloat16 would do
        similarities.values.copy_(similarities.values.bfloat16().float())
    expected = torch.topk(keys, K)
    found = similarities.leading(K)
    assert torch.equal(found.keys, expected.values)
    assert torch.equal(keys.gather(1, found.columns), expected.values)

    codes = np.random.default_rng(8).integers(0, 9, GALLERY)
    asked = rows[::3]
    relevant = CodeOrder.of(codes).pairs(np.arange(len(asked)) % 9)
    ranks = similarities.first_ranks(asked, relevant)
    wanted = [
        min(1 + int((keys[row] > keys[row, column]).sum()) for column in np.flatnonzero(codes == place % 9))
        for place, row in enumerate(asked)
    ]
    assert ranks.tolist() == wanted


def test_items_that_do_not_count_end_the_list() -> None:
    ranking = ranking_of("random", seed=1)
    all_but_two = Exclusions(
        query_codes=np.zeros((QUERIES, 1), dtype=np.int64),
        gallery_codes=np.where(np.arange(GALLERY)[:, None] < GALLERY - 2, 0, -1),
    )
    alone = Ranking(
        query_embeddings=ranking.query_embeddings,
        gallery_embeddings=ranking.gallery_embeddings,
        own_columns=ranking.own_columns,
        tie_keys=ranking.tie_keys,
        exclusions=all_but_two,
    )
    found = Similarities.of(alone, np.arange(QUERIES)).leading(K)
    assert torch.equal(found.keys != REMOVED_KEY, (torch.arange(K) < 2).expand(QUERIES, K))
    assert set(found.columns[:, :2].ravel().tolist()) == {GALLERY - 2, GALLERY - 1}


def test_the_error_is_a_bound() -> None:
    ranking = ranking_of("random", seed=5)
    similarities = Similarities.of(ranking, np.arange(QUERIES))
    exact = ranking.query_embeddings.double() @ ranking.gallery_embeddings.double().T
    off = (similarities.values.double() - exact)[torch.isfinite(similarities.values)].abs().max()
    assert 0 < float(off) < similarities.error < 1e-5
