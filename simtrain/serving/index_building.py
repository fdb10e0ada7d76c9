"""Building of an index: trained on a sample, filled block by block, tuned and measured on items that are held out."""

# Shapes: N items, D dimensions of the embedding.

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError
from simtrain.serving.index import ItemIndex, unit_rows
from simtrain.serving.index_factory import EXACT_FACTORY
from simtrain.serving.index_file import faiss_reason
from simtrain.serving.index_tuning import HeldOutQueries, tuned_settings
from simtrain.serving.search_settings import RECALL_DEPTH, SearchSettings, innermost

_HELD_OUT = 1024
_ITEMS_PER_HELD_OUT = 10
_TRAINING_ROWS = 65_536
_TRAINING_ROWS_PER_LIST = 64
_BLOCK_BYTES = 1 << 25
_TIMED_QUERIES = 64


@dataclass(frozen=True, kw_only=True)
class BuiltIndex:
    """An index with what was measured of it."""

    index: ItemIndex

    settings: SearchSettings | None
    """How far it looks; None: at every item."""

    recall: float
    """Share of the 10 nearest items, by exact search, that a search finds, 0 to 1."""

    recall_of_codes: float
    """The same for the order of the index itself, before the candidates are compared exactly: what quantisation and
    fewer dimensions cost."""

    held_out: int
    """Queries that the recall was measured on, which took no part in the tuning; 0: none, the search is exact."""

    milliseconds: float
    """Median time of one search for 10 neighbours, one query at a time, on the machine that built it."""


def build_index(
    vectors: NDArray[Any], *, factory: str, wanted_recall: float, order: Sequence[int] | None = None
) -> BuiltIndex:
    """Index N vectors under the ids 0..N-1.

    Of an approximate index up to 1024 items, a tenth at most, are held out: half of them tune the search, the other
    half measure it, all among the items that are in; then they are added too. With fewer than 10 items all are queries.

    Args:
        vectors: (N, D) rows of length 1, float32, or float16 for an approximate index; N >= 1. May be memory-mapped:
            they are read in blocks. An approximate index keeps them for exact similarities.
        factory: A FAISS factory string without id map: `Flat` (exact), `HNSW32`, `IVF256,SQ8` ...
        wanted_recall: Recall that the search of an approximate index is tuned to, above 0 and below 1.
        order: Row of each id, for an exact index alone; None: they are the same.

    Raises:
        BundleError: for a factory string that FAISS does not know, or that needs more items than there are.
        ValueError: for vectors that are not finite or not of length 1, or no vectors at all.
    """
    if len(vectors) == 0:
        raise ValueError(f"embeddings has shape {vectors.shape}; allowed: 1 row or more")
    for start, block in _blocks(vectors):
        unit_rows(f"embeddings from {start}" if start else "embeddings", block, dimensions=None)
    try:
        if factory == EXACT_FACTORY:
            return _built_exactly(vectors, np.arange(len(vectors)) if order is None else np.asarray(order))
        return _built(vectors, factory=factory, wanted_recall=wanted_recall)
    except (RuntimeError, AssertionError, MemoryError) as error:
        raise BundleError(
            f"index '{factory}': FAISS cannot build it over {len(vectors)} items of {vectors.shape[1]} dimensions: "
            f"{faiss_reason(error)}; {EXACT_FACTORY} always works"
        ) from None


def exact_index(vectors: NDArray[np.float32], *, order: NDArray[np.int64] | None = None) -> ItemIndex:
    """An index that compares with every one of (N, D) rows of length 1; its memory is that of the rows, once.

    Args:
        vectors: The rows; may be memory-mapped.
        order: (N,) row of each id; None: they are the same.
    """
    index: Any = faiss.index_factory(vectors.shape[1], f"IDMap2,{EXACT_FACTORY}", faiss.METRIC_INNER_PRODUCT)
    flat: Any = faiss.downcast_index(index.index)
    count = len(vectors)
    flat.codes.resize(4 * vectors.size)  # `add` would double its memory again and again
    if count:
        codes = faiss.rev_swig_ptr(flat.codes.data(), 4 * vectors.size).view(np.float32).reshape(vectors.shape)
        for start, _ in _blocks(vectors):
            block = slice(start, start + _block_rows(vectors))
            codes[block] = vectors[block] if order is None else vectors[order[block]]
    faiss.copy_array_to_vector(np.arange(count), index.id_map)
    flat.ntotal = index.ntotal = count
    index.construct_rev_map()
    return ItemIndex(index=index, factory=EXACT_FACTORY, stored=None, settings=None)


def _built_exactly(vectors: NDArray[np.float32], order: NDArray[np.int64]) -> BuiltIndex:
    index = exact_index(vectors, order=order)
    queries = np.ascontiguousarray(vectors[order[_spread(len(vectors), _TIMED_QUERIES)]], dtype=np.float32)
    return BuiltIndex(
        index=index,
        settings=None,
        recall=1.0,
        recall_of_codes=1.0,
        held_out=0,
        milliseconds=_milliseconds(index, queries),
    )


def _built(vectors: NDArray[Any], *, factory: str, wanted_recall: float) -> BuiltIndex:
    held = _spread(len(vectors), min(_HELD_OUT, len(vectors) // _ITEMS_PER_HELD_OUT))
    others = np.setdiff1d(np.arange(len(vectors)), held)
    inner = _empty_index(factory, dimensions=vectors.shape[1])
    if not inner.is_trained:
        inner.train(_sample(vectors, others, index=inner))
    _add(inner, vectors, rows=others)
    queries = HeldOutQueries.of(vectors, held if len(held) else others, excluded=held)
    settings = tuned_settings(inner, queries.half(0), wanted_recall=wanted_recall)
    measured = queries.half(1)
    numbers = [min(number, inner.ntotal) for number in (RECALL_DEPTH, settings.candidates_for(RECALL_DEPTH))]
    recall_of_codes, recall = measured.recalls(inner, candidates=numbers)
    _add(inner, vectors, rows=held)
    index = ItemIndex(index=inner, factory=factory, stored=vectors, settings=settings)
    return BuiltIndex(
        index=index,
        settings=settings,
        recall=recall,
        recall_of_codes=recall_of_codes,
        held_out=len(measured.queries),
        milliseconds=_milliseconds(index, measured.queries[:_TIMED_QUERIES]),
    )


def _empty_index(factory: str, *, dimensions: int) -> Any:
    """Inverted lists hold ids of 64 bits themselves; other indexes get a map of them."""
    index = faiss.index_factory(dimensions, factory, faiss.METRIC_INNER_PRODUCT)
    if not isinstance(innermost(index), faiss.IndexIVF):
        index = faiss.index_factory(dimensions, f"IDMap,{factory}", faiss.METRIC_INNER_PRODUCT)
    inner = innermost(index)
    if hasattr(inner, "do_polysemous_training"):
        inner.do_polysemous_training = False  # takes minutes, for a kind of search that is not used
    return index


def _sample(vectors: NDArray[Any], rows: NDArray[np.int64], *, index: Any) -> NDArray[np.float32]:
    inverted = faiss.try_extract_index_ivf(index)
    wanted = max(_TRAINING_ROWS, _TRAINING_ROWS_PER_LIST * (0 if inverted is None else inverted.nlist))
    if wanted < len(rows):
        rows = np.sort(np.random.default_rng(0).choice(rows, size=wanted, replace=False))
    return np.ascontiguousarray(vectors[rows], dtype=np.float32)


def _add(index: Any, vectors: NDArray[Any], *, rows: NDArray[np.int64]) -> None:
    block = _block_rows(vectors)
    for start in range(0, len(rows), block):
        part = rows[start : start + block]
        index.add_with_ids(np.ascontiguousarray(vectors[part], dtype=np.float32), part.astype(np.int64))


def _blocks(vectors: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    block = _block_rows(vectors)
    for start in range(0, len(vectors), block):
        yield start, vectors[start : start + block]


def _block_rows(vectors: NDArray[Any]) -> int:
    return max(1, _BLOCK_BYTES // (4 * vectors.shape[1])) if vectors.ndim == 2 else len(vectors)


def _spread(count: int, wanted: int) -> NDArray[np.int64]:
    """Evenly spread rows, each once."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).astype(np.int64))


def _milliseconds(index: ItemIndex, queries: NDArray[np.float32]) -> float:
    seconds = []
    for query in queries:
        begun = time.perf_counter()
        index.search(query[None], k=RECALL_DEPTH)
        seconds.append(time.perf_counter() - begun)
    return 1000 * float(np.median(seconds))
