"""Neighbours among items that pass a filter."""

from typing import Any

import numpy as np
import pytest

from simtrain.serving import filtered_search
from simtrain.serving.filtered_search import nearest_passing
from simtrain.serving.index_building import build_index, exact_index


def vectors(count: int) -> Any:
    values = np.random.default_rng(1).normal(size=(count, 8)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.mark.parametrize("one_by_one", [20_000, 0])
@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
@pytest.mark.parametrize("factory", ["Flat", "SQ8"])
def test_neighbours_that_pass_are_those_of_a_sorted_list(
    factory: str, one_by_one: int, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filtered_search, "_COMPARED_WITH_EACH", one_by_one)
    items, query = vectors(300), vectors(301)[300]
    passing = np.random.default_rng(2).random(300) < share
    index = build_index(items, factory=factory, wanted_recall=0.99).index
    rows, similarities = nearest_passing(index, query, k=7, passing=passing)
    exact = items.astype(np.float64) @ query.astype(np.float64)
    expected = sorted(np.flatnonzero(passing), key=lambda row: -exact[row])[:7]
    assert rows.tolist() == expected
    assert similarities == pytest.approx(exact[expected], abs=1e-6)


def test_no_item_passes() -> None:
    rows, similarities = nearest_passing(
        exact_index(vectors(9)), vectors(1)[0], k=3, passing=np.zeros(9, dtype=np.bool_)
    )
    assert len(rows) == len(similarities) == 0
