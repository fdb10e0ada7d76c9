"""How far a search looks, for each kind of index."""

from typing import Any

import faiss
import numpy as np
import pytest

from simtrain.serving.search_settings import SearchSettings, found_by, parameters_for, set_width, width_range


def filled(factory: str) -> Any:
    rows = np.random.default_rng(0).standard_normal((200, 8)).astype(np.float32)
    index = faiss.index_factory(8, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(rows)
    index.add(rows) if "IDMap" not in factory else index.add_with_ids(rows, np.arange(200))
    return index


@pytest.mark.parametrize(
    ("factory", "name", "largest"),
    [
        ("IVF4,SQ8", "nprobe", 4),
        ("PCA4,IVF4,Flat", "nprobe", 4),
        ("IVF8_HNSW8,Flat", "nprobe", 8),
        ("IDMap,HNSW8", "efSearch", 200),
        ("IDMap,PCA4,HNSW8", "efSearch", 200),
    ],
)
def test_lists_and_graphs_have_a_width(factory: str, name: str, largest: int) -> None:
    index = filled(factory)
    found = width_range(index)
    assert found is not None
    assert (found.name, found.largest) == (name, largest)
    set_width(index, 3)
    inverted = faiss.try_extract_index_ivf(index)
    if inverted is not None:
        assert inverted.nprobe == 3
    else:
        graph = faiss.downcast_index(index.index)
        while isinstance(graph, faiss.IndexPreTransform):
            graph = faiss.downcast_index(graph.index)
        assert graph.hnsw.efSearch == 3


@pytest.mark.parametrize("factory", ["IDMap,SQ8", "IDMap2,Flat"])
def test_others_have_none(factory: str) -> None:
    index = filled(factory)
    assert width_range(index) is None
    with pytest.raises(ValueError, match=r"^the index has no search width$"):
        set_width(index, 3)


@pytest.mark.parametrize("factory", ["IVF16,Flat", "PCA8,IVF16,Flat", "IVF16,SQ8", "IVF16,RaBitQ"])
def test_more_neighbours_lie_in_more_lists(factory: str) -> None:
    index, query = filled(factory), np.ones((1, 8), dtype=np.float32)
    set_width(index, 2)
    settings = SearchSettings(width=2, candidates=10)
    assert parameters_for(index, settings, neighbours=10) is None
    counts = [
        int((found_by(index, query, 200, parameters=parameters_for(index, settings, neighbours=k)) >= 0).sum())
        for k in (10, 20, 80, 1000)
    ]
    lists = index.search(query, 200)[1]
    assert counts[0] == (lists >= 0).sum() < counts[1] < counts[2] == counts[3] == 200


def test_more_neighbours_take_more_candidates() -> None:
    settings = SearchSettings(width=4, candidates=40)
    assert [settings.candidates_for(k) for k in (1, 10, 11, 100)] == [40, 40, 44, 400]
    assert SearchSettings(width=None, candidates=1).candidates_for(25) == 25
    assert SearchSettings.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize("values", [{"width": 0, "candidates": 1}, {"width": 1, "candidates": None}, {"width": "4"}])
def test_other_values_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        SearchSettings.from_dict(values)
