"""The index of a bundle: exact cosine similarities over unit vectors, ids that are rows of `items.parquet`."""

# Shapes: N items, D dimensions of the embedding, Q queries, k neighbours.

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from simtrain.errors import BundleError
from simtrain.serving.index_factory import EXACT_FACTORY
from simtrain.serving.index_file import read_index_file, write_index_file
from simtrain.serving.search_settings import SearchSettings, found_by, parameters_for, set_width, width_range

_UNIT_TOLERANCE = 1e-3
_SPARE_CANDIDATES = 16
_SUM_TOLERANCE = 1e-5  # sums of float32 products in another order differ by far less
_BLOCK_ROWS = 4096
_NOTHING = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32))


class ItemIndex:
    """N unit vectors in a FAISS index; get one from `build_index` or `read`.

    Args:
        index: The FAISS index, with ids 0..N-1.
        factory: The factory string that it was built from.
        stored: (N, D) vectors, float16 or float32, that the candidates of an approximate index are compared with. None:
            the index is exact, or of a bundle of before, whose similarities are those of its codes.
        settings: How far an approximate index looks; None: as its file says.
    """

    def __init__(
        self, *, index: Any, factory: str, stored: NDArray[Any] | None, settings: SearchSettings | None
    ) -> None:
        self._index = index
        self._stored = stored
        self._settings = settings
        self.factory = factory

    @staticmethod
    def read(
        path: Path, *, factory: str, sha256: str, stored: NDArray[Any] | None, settings: SearchSettings | None
    ) -> ItemIndex:
        """Open an index that `save` wrote, memory-mapped.

        Args:
            path: File that `save` wrote.
            factory: The factory string that it was built from.
            sha256: Of the file.
            stored: The vectors beside it, as the class takes them.
            settings: How far it looks, as the class takes them.

        Raises:
            BundleError: if it is missing, damaged, another file, not an index over cosine with ids 0..N-1, or does not
                go with `stored` and `settings`.
        """
        index = read_index_file(path, sha256=sha256)
        inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else index
        if factory == EXACT_FACTORY and not isinstance(inner, faiss.IndexFlat):
            raise BundleError(f"{path}: damaged index: it is not exact; the manifest says '{EXACT_FACTORY}'")
        if stored is not None and stored.shape != (index.ntotal, index.d):
            raise BundleError(
                f"{path}: damaged index: it holds {index.ntotal} vectors of {index.d} dimensions; those beside it are "
                f"{len(stored)} of {stored.shape[1]}"
            )
        if settings is not None and settings.width is not None:
            if width_range(index) is None:
                raise BundleError(f"{path}: damaged index: it has no search width; the manifest gives one")
            set_width(index, settings.width)
        return ItemIndex(index=index, factory=factory, stored=stored, settings=settings)

    def save(self, path: Path) -> None:
        """Write the file whole or not at all, without the stored vectors.

        Raises:
            OSError: if it cannot be written.
        """
        write_index_file(self._index, path)

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
        """Whether it compares with every item."""
        return self.factory == EXACT_FACTORY

    @property
    def keeps_vectors(self) -> bool:
        """Whether `vectors` can give them back."""
        return self.is_exact or self._stored is not None

    @property
    def stores_halves(self) -> bool:
        """Whether `vectors` are rounded to float16."""
        return self._stored is not None and self._stored.dtype.itemsize == 2

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors (R, D) of R rows.

        Raises:
            ValueError: for an index that does not keep them, or rows outside 0..N-1.
        """
        if not self.keeps_vectors:
            raise ValueError(f"index '{self.factory}' does not keep its vectors; allowed: {EXACT_FACTORY}")
        if len(rows) and (rows.min() < 0 or rows.max() >= self.count):
            raise ValueError(f"rows are {rows.min()} to {rows.max()}; allowed: 0 to {self.count - 1}")
        if self._stored is not None:
            kept: NDArray[np.float32] = self._stored[rows].astype(np.float32)
            return kept
        stored: NDArray[np.float32] = self._index.reconstruct_batch(np.ascontiguousarray(rows, dtype=np.int64))
        return stored

    def search(self, queries: NDArray[np.float32], *, k: int) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The nearest items of each query, nearest first; equal similarities come in the order of rows.

        Similarities are summed in float64 from the stored vectors, rounded to float32, and ties are ordered by row. An
        exact index answers as `simtrain evaluate` ranks, ties cut at k by row too. An approximate one may miss items;
        where it finds fewer than k, all items are compared.

        Args:
            queries: (Q, D) rows of length 1.
            k: Neighbours of each query; >= 1. Where there are fewer items the answer is shorter.

        Returns:
            For each query its rows (at most k) and their cosine similarities in -1..1 up to rounding.

        Raises:
            ValueError: k < 1, another D, rows that are not finite or not of length 1.
        """
        if k < 1:
            raise ValueError(f"k is {k}; allowed: 1 or more")
        vectors = unit_rows("queries", queries, dimensions=self.dimensions)
        if len(vectors) == 0:
            return []
        k = min(k, self.count)
        if self.is_exact:
            return self._search_exactly(vectors, k=k)
        if self._stored is None:
            return self._search_codes(vectors, k=k)
        return self._search_candidates(vectors, k=k)

    def _search_codes(
        self, queries: NDArray[np.float32], *, k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Of a bundle of before, which holds nothing more exact."""
        similarities, rows = self._index.search(queries, k)
        return [_in_order(found[found >= 0], near[found >= 0]) for found, near in zip(rows, similarities, strict=True)]

    def _search_candidates(
        self, queries: NDArray[np.float32], *, k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        wanted, parameters = k, None
        if self._settings is not None:
            wanted = min(self._settings.candidates_for(k), self.count)
            parameters = parameters_for(self._index, self._settings, neighbours=k)
        found = found_by(self._index, queries, wanted, parameters=parameters)
        answers = []
        for query, row in zip(queries, found, strict=True):
            candidates = row[row >= 0]
            if len(candidates) < k:
                candidates = np.arange(self.count)
            rows, similarities = _in_order(candidates, self._similarities(query, candidates))
            answers.append((rows[:k], similarities[:k]))
        return answers

    def _search_exactly(
        self, queries: NDArray[np.float32], *, k: int
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Ask FAISS for more than k, until what it left out is surely farther than the k-th."""
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


def unit_rows(name: str, values: NDArray[Any], *, dimensions: int | None) -> NDArray[np.float32]:
    """Rows as contiguous float32, each of length 1, or of 0, which is similar to nothing.

    Raises:
        ValueError: naming the rows and the first that is of another length or not finite.
    """
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
