"""What is right for held-out queries, against a loop, and the cheapest settings that find it."""

# Shapes: N items, D dimensions.

import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.serving import index_tuning
from simtrain.serving.index_tuning import HeldOutQueries, tuned_settings


def unit_rows(count: int, dimensions: int, *, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


ITEMS = unit_rows(500, 8, seed=0)
HELD = np.arange(0, 500, 25)
OTHERS = np.setdiff1d(np.arange(500), HELD)


def index_of(factory: str) -> faiss.Index:
    index = faiss.index_factory(8, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(ITEMS[OTHERS])
    index.add_with_ids(ITEMS[OTHERS], OTHERS)
    return index


@pytest.mark.parametrize("candidates", [5, 10, 40])
def test_recall_is_the_share_of_true_neighbours_among_candidates(
    candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_tuning, "_BLOCK_BYTES", 4 * 8 * 64)  # 8 blocks
    held_out = HeldOutQueries.of(ITEMS, HELD, excluded=HELD)
    index = index_of("IVF16,SQ4")
    found = 0
    for query, rows in zip(ITEMS[HELD], index.search(ITEMS[HELD], candidates)[1], strict=True):
        similarities = ITEMS.astype(np.float64) @ query
        similarities[HELD] = -2.0
        truth = np.argsort(-similarities, kind="stable")[:10]
        found += len(set(truth.tolist()) & set(rows.tolist()))
    assert held_out.recalls(index, candidates=[candidates]) == [pytest.approx(found / (10 * len(HELD)))]


def test_halves_are_every_second_query() -> None:
    held_out = HeldOutQueries.of(ITEMS, HELD, excluded=HELD)
    np.testing.assert_array_equal(held_out.half(0).queries, ITEMS[HELD[::2]])
    np.testing.assert_array_equal(held_out.half(1).queries, ITEMS[HELD[1::2]])
    one = HeldOutQueries.of(ITEMS, HELD[:1], excluded=HELD[:1])
    np.testing.assert_array_equal(one.half(1).queries, ITEMS[:1])


def test_settings_are_enough_and_a_sixteenth_less_is_not() -> None:
    held_out = HeldOutQueries.of(ITEMS, HELD, excluded=HELD)
    index = index_of("IVF32,Flat")
    settings = tuned_settings(index, held_out, wanted_recall=0.9)
    inverted = faiss.try_extract_index_ivf(index)
    assert settings.width == inverted.nprobe
    recalls = []
    for width in (settings.width, settings.width - 1):
        inverted.nprobe = width
        recalls += held_out.recalls(index, candidates=[settings.candidates])
    assert recalls[0] >= 0.95 > recalls[1]  # at most half of what may be missed
    assert settings.candidates == 10  # of whole vectors no more are needed
