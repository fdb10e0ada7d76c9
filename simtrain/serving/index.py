"""The FAISS index of a bundle: cosine similarity over unit vectors, ids that are rows of `items.parquet`."""

# Shapes: N items, D dimensions of the embedding, Q queries, k neighbours.

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError, first_line, system_reason
from simtrain.files import whole_file
from simtrain.serving.replacement import HashingReader, check_hash

EXACT_FACTORY = "Flat"
"""The factory string whose index compares with every item and keeps the vectors as they are."""

_UNIT_TOLERANCE = 1e-3
_RECALL_QUERIES = 256
_SPARE_CANDIDATES = 16
_SUM_TOLERANCE = 1e-5  # sums of float32 products in another order differ by far less
_GRAPH_CANDIDATES = 128
_BLOCK_ROWS = 4096
_READ_BYTES = 1 << 20
_NOTHING = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))


_SPELLINGS = {
    name.lower(): name for name in ("Flat", "HNSW", "IVF", "SQ", "PQ", "PCA", "OPQ", "IDMap", "L2norm", "NSG")
}
_EXAMPLES = "Flat (exact), HNSW32, IVF256,Flat, SQ8, PQ32, PCA64,Flat"


def checked_factory(factory: str, *, dimensions: int) -> str:
    """A factory string as FAISS spells it, before anything is embedded; nothing is trained.

    Args:
        factory: As the user wrote it, such as `flat` or `hnsw32`.
        dimensions: Length of the embeddings.

    Raises:
        BundleError: for one that FAISS does not know, or not for embeddings of this length.
    """
    respelt = re.sub("[A-Za-z]{2,}", lambda found: _SPELLINGS.get(found[0].lower(), found[0]), factory.strip())
    for spelling in dict.fromkeys((factory, respelt)):
        try:
            faiss.index_factory(dimensions, f"IDMap2,{spelling}", faiss.METRIC_INNER_PRODUCT)
        except (RuntimeError, AssertionError, ValueError, TypeError):
            continue
        return spelling
    problem = f"FAISS has no index '{factory}' over cosines of {dimensions} dimensions; such as: {_EXAMPLES}"
    raise BundleError(problem, argument="index")


class ItemIndex:
    """N unit vectors in a FAISS index; make one with `build` or `read`.

    Args:
        index: The FAISS index, with ids 0..N-1.
        factory: The factory string that it was built from.
    """

    def __init__(self, *, index: Any, factory: str) -> None:
        self._index = index
        self.factory = factory

    @staticmethod
    def build(embeddings: NDArray[np.float32], *, factory: str) -> ItemIndex:
        """Index N vectors under the ids 0..N-1.

        Args:
            embeddings: (N, D) rows of length 1; N >= 1.
            factory: A FAISS factory string without id map: `Flat` (exact), `HNSW32`, `IVF256,Flat`, `SQ8` ...

        Raises:
            BundleError: for a factory string that FAISS does not know, or that needs more items than there are.
            ValueError: for vectors that are not finite or not of length 1, or no vectors at all.
        """
        if len(embeddings) == 0:
            raise ValueError(f"embeddings has shape {embeddings.shape}; allowed: 1 row or more")
        vectors = _unit_rows("embeddings", embeddings, dimensions=None)
        try:
            index = faiss.index_factory(vectors.shape[1], f"IDMap2,{factory}", faiss.METRIC_INNER_PRODUCT)
            if not index.is_trained:
                index.train(vectors)
            index.add_with_ids(vectors, np.arange(len(vectors), dtype=np.int64))
        except (RuntimeError, AssertionError) as error:
            raise BundleError(
                f"index '{factory}': FAISS cannot build it over {len(vectors)} items of {vectors.shape[1]} dimensions: "
                f"{_reason(error)}; {EXACT_FACTORY} always works"
            ) from None
        _look_further(index)
        return ItemIndex(index=index, factory=factory)

    @staticmethod
    def read(path: Path, *, factory: str, sha256: str) -> ItemIndex:
        """Open an index that `save` wrote.

        Args:
            path: File that `save` wrote.
            factory: The factory string that it was built from.
            sha256: Of the file that is to be opened; another one may have taken its place since it was checked.

        Raises:
            BundleError: if it is missing, damaged, another file, or not an index over cosine with ids 0..N-1.
        """
        if not path.is_file():
            raise BundleError(f"{path}: no such index")
        try:
            with path.open("rb") as file:
                reader = HashingReader(file=file)
                callback = faiss.PyCallbackIOReader(reader, _READ_BYTES)  # type: ignore[attr-defined]  # SWIG makes it
                index = faiss.read_index(callback)
                check_hash(path, reader.sha256(), expected=sha256)
        except RuntimeError as error:
            raise BundleError(f"{path}: not an index that FAISS can read: {_reason(error)}") from None
        if not isinstance(index, faiss.IndexIDMap2) or index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise BundleError(f"{path}: not an index of simtrain: expected ids (IDMap2) and inner products")
        ids = faiss.vector_to_array(index.id_map)
        if not np.array_equal(ids, np.arange(index.ntotal)):
            raise BundleError(f"{path}: its ids are not the rows 0 to {index.ntotal - 1} of the items")
        return ItemIndex(index=index, factory=factory)

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        try:
            with whole_file(path) as temporary:
                faiss.write_index(self._index, str(temporary))
        except RuntimeError as error:  # FAISS's name for a full disk or a folder that cannot be written
            reason = system_reason(error)
            raise OSError(reason if reason != first_line(error) else f"{path}: {_reason(error)}") from None

    @property
    def count(self) -> int:
        """Number of vectors, N."""
        return int(self._index.ntotal)

    @property
    def dimensions(self) -> int:
        """Length of a vector, D."""
        return int(self._index.d)

    @property
    def is_exact(self) -> bool:
        """Whether it compares with every item and keeps the vectors as they are."""
        return self.factory == EXACT_FACTORY

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors (R, D) of R rows; of an exact index only, as FAISS cannot restore them from every other.

        Raises:
            ValueError: for an index that is not exact, or rows outside 0..N-1.
        """
        if not self.is_exact:
            raise ValueError(f"index '{self.factory}' does not keep its vectors; allowed: {EXACT_FACTORY}")
        if len(rows) and (rows.min() < 0 or rows.max() >= self.count):
            raise ValueError(f"rows are {rows.min()} to {rows.max()}; allowed: 0 to {self.count - 1}")
        stored: NDArray[np.float32] = self._index.reconstruct_batch(np.ascontiguousarray(rows, dtype=np.int64))
        return stored

    def search(self, queries: NDArray[np.float32], *, k: int) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The nearest items of each query, nearest first; equal similarities come in the order of rows.

        An exact index answers as `simtrain evaluate` ranks: similarities are summed in float64, rounded to float32, and
        ties are ordered, and cut at k, by row.

        Args:
            queries: (Q, D) rows of length 1.
            k: Neighbours of each query; >= 1. Where there are fewer items, or an approximate index finds fewer, the
                answer is shorter.

        Returns:
            For each query its rows (at most k) and their cosine similarities in -1..1 up to rounding.

        Raises:
            ValueError: k < 1, another D, rows that are not finite or not of length 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; allowed: 1 or more")
        vectors = _unit_rows("queries", queries, dimensions=self.dimensions)
        if len(vectors) == 0:
            return []
        return self._search_exactly(vectors, k=k) if self.is_exact else self._search_roughly(vectors, k=k)

    def _search_roughly(
        self, queries: NDArray[np.float32], *, k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        similarities, rows = self._index.search(queries, min(k, self.count))
        return [_in_order(found[found >= 0], near[found >= 0]) for found, near in zip(rows, similarities, strict=True)]

    def _search_exactly(
        self, queries: NDArray[np.float32], *, k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Ask FAISS for more than k, until what it left out is surely farther than the k-th."""
        k = min(k, self.count)
        answers: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = [_NOTHING] * len(queries)
        open_queries, wanted = np.arange(len(queries)), min(k + _SPARE_CANDIDATES, self.count)
        while len(open_queries):
            rough, candidates = self._index.search(queries[open_queries], wanted)
            unsure = []
            for place, query in enumerate(open_queries):
                similarities = self._similarities(queries[query], candidates[place])
                rows, similarities = _in_order(candidates[place], similarities)
                answers[query] = rows[:k], similarities[:k]
                if wanted < self.count and rough[place, -1] >= similarities[k - 1] - _SUM_TOLERANCE:
                    unsure.append(query)
            open_queries, wanted = np.array(unsure, dtype=np.int64), min(4 * wanted, self.count)
        return answers

    def _similarities(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        result = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            # The order of a matrix product's sum depends on the block; float64 makes equal vectors equal all the same.
            result[block] = self.vectors(rows[block]).astype(np.float64) @ query.astype(np.float64)
        return result


def recall_against_exact(index: ItemIndex, embeddings: NDArray[np.float32], *, k: int) -> float:
    """Share of the k truly nearest items that the index finds, with up to 256 evenly spread items as queries.

    An item as near as the k-th counts as found, whichever of several equals it is.

    Args:
        index: Index over these embeddings.
        embeddings: (N, D) rows of length 1.
        k: Neighbours looked at; >= 1, and no more than N count.
    """
    depth = min(k, len(embeddings))
    queries = embeddings[np.unique(np.linspace(0, len(embeddings) - 1, _RECALL_QUERIES).astype(np.int64))]
    found = 0
    for query, (rows, _) in zip(queries, index.search(queries, k=depth), strict=True):
        similarities = embeddings @ query
        threshold = np.partition(similarities, -depth)[-depth] - _SUM_TOLERANCE
        found += int((similarities[rows] >= threshold).sum())
    return found / (depth * len(queries))


def _unit_rows(name: str, values: NDArray[np.float32], *, dimensions: int | None) -> NDArray[np.float32]:
    if values.ndim != 2 or (dimensions is not None and values.shape[1] != dimensions):
        raise ValueError(f"{name} has shape {values.shape}; allowed: (rows, {dimensions or 'dimensions'})")
    vectors: NDArray[np.float32] = np.ascontiguousarray(values, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    whole = (np.abs(lengths - 1) <= _UNIT_TOLERANCE) | (lengths == 0)  # NaN compares false, so it is found too
    bad = np.flatnonzero(~whole)
    if len(bad):
        raise ValueError(f"{name}: row {bad[0]} has length {lengths[bad[0]]:.4f}; allowed: 1 within {_UNIT_TOLERANCE}")
    return vectors


def _in_order(
    rows: NDArray[np.int64], similarities: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    order = np.lexsort((rows, -similarities))
    return rows[order], similarities[order]


def _look_further(index: Any) -> None:
    """FAISS's defaults find a fifth of the neighbours; these settings are saved in the file."""
    inverted = faiss.try_extract_index_ivf(index)
    if inverted is not None:
        inverted.nprobe = min(inverted.nlist, max(8, inverted.nlist // 8))
    inner = faiss.downcast_index(index.index)  # `index` stays referenced by the caller: it owns `inner`
    if isinstance(inner, faiss.IndexHNSW):
        inner.hnsw.efSearch = _GRAPH_CANDIDATES


def _reason(error: Exception) -> str:
    """FAISS's message without the C++ signature before it."""
    text = " ".join(str(error).split())
    return text.rpartition("Error: ")[2].strip()[:160] or type(error).__name__
