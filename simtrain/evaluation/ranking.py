"""Exact ranking of a gallery for each query: by similarity, then by id, never holding all similarities at once.

Ordering keys (`ordering_keys`) of one query are all different, so the k largest of them, and the number above any of
them, are the same on every device, in every chunk and in every process.
"""

# Shapes: Q queries, G gallery items, D features, C queries of one chunk, K ranks looked at.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.exclusions import Exclusions, check_exclusions, no_exclusions
from simtrain.evaluation.ordering_keys import REMOVED_KEY, ordering_keys

CHUNK_ELEMENTS = 2**23
"""Query-gallery pairs held at once, by default: 32 MiB of float32, or 64 MiB of ordering keys."""

_TILE_ELEMENTS = 2**20
UNIT_TOLERANCE = 1e-3
"""Largest difference of an embedding's length from 1."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Queries and a gallery to rank for each of them; made with `of`, which checks them."""

    query_embeddings: Tensor
    """(Q, D) float32, rows of length 1."""
    gallery_embeddings: Tensor
    """(G, D) float32, rows of length 1."""
    own_columns: NDArray[np.int64]
    """(Q,) gallery column of the query itself; -1: it is not in the gallery."""
    tie_keys: Tensor
    """(G,) int64, largest for the id that sorts first; the low half of the ordering keys."""
    exclusions: Exclusions
    """Gallery items that count neither as finds nor as misses of some queries."""

    @classmethod
    def of(
        cls,
        query_embeddings: Tensor,
        gallery_embeddings: Tensor,
        *,
        query_ids: Sequence[str],
        gallery_ids: Sequence[str],
        exclusions: Exclusions | None = None,
    ) -> Ranking:
        """Check embeddings and ids, and find each query's own gallery column.

        Args:
            query_embeddings: (Q, D) float32 rows of length 1, on the CPU or a CUDA device.
            gallery_embeddings: (G, D) float32 rows of length 1, on the same device.
            query_ids: (Q,) unique ids; a gallery item with the query's id is the query itself.
            gallery_ids: (G,) unique ids; equal similarities rank in the order of these.
            exclusions: Gallery items that count neither as finds nor as misses of some queries; None: there are none.

        Raises:
            ValueError: Sizes that differ, duplicate ids, rows that are not finite or not of length 1.
        """
        _check_embeddings("query", query_embeddings, query_ids)
        _check_embeddings("gallery", gallery_embeddings, gallery_ids)
        _check_pair(query_embeddings, gallery_embeddings)
        if exclusions is None:
            exclusions = no_exclusions(queries=len(query_ids), gallery=len(gallery_ids))
        check_exclusions(exclusions, query_ids=query_ids, gallery_ids=gallery_ids)
        columns = {item_id: column for column, item_id in enumerate(gallery_ids)}
        in_id_order = sorted(range(len(gallery_ids)), key=gallery_ids.__getitem__)
        tie_keys = np.empty(len(gallery_ids), dtype=np.int64)
        tie_keys[in_id_order] = np.arange(len(gallery_ids))[::-1]
        return cls(
            query_embeddings=query_embeddings.detach(),
            gallery_embeddings=gallery_embeddings.detach(),
            own_columns=np.array([columns.get(query_id, -1) for query_id in query_ids], dtype=np.int64),
            tie_keys=torch.from_numpy(tie_keys).to(gallery_embeddings.device),
            exclusions=exclusions,
        )

    def chunks(self, query_rows: NDArray[np.int64], *, chunk_elements: int) -> Iterator[NDArray[np.int64]]:
        """Pieces of `query_rows` whose keys are at most `chunk_elements` numbers, or one row where G alone is more.

        Args:
            query_rows: (n,) rows of the queries.
            chunk_elements: Largest number of keys of a piece; >= 1.

        Raises:
            ValueError: chunk_elements < 1.
        """
        if chunk_elements < 1:
            raise ValueError(f"chunk_elements is {chunk_elements}; allowed: 1 or more")
        # A piece's embeddings are copied too, and are the larger part where the gallery is smaller than D.
        step = max(1, chunk_elements // max(1, *self.gallery_embeddings.shape))
        for start in range(0, len(query_rows), step):
            yield query_rows[start : start + step]

    def keys(self, query_rows: NDArray[np.int64]) -> Tensor:
        """Ordering keys (C, G) int64 of some queries; `REMOVED_KEY` where the item does not count.

        Similarities are summed in float64 and then rounded to float32. Products of two float32 numbers are exact in
        float64, so equal rows get equal similarities whatever order a matrix product sums in. Sums in float32 split
        such ties at random, change with the chunk size, and lose digits to TF32 and autocast.
        """
        device = self.gallery_embeddings.device
        queries = self.query_embeddings[torch.from_numpy(query_rows).to(device)].double()
        keys = torch.empty((len(query_rows), len(self.gallery_embeddings)), dtype=torch.int64, device=device)
        # Tiles keep the float64 copy of the gallery small: a few MiB instead of twice the gallery.
        tile_rows = max(1, _TILE_ELEMENTS // max(1, self.gallery_embeddings.shape[1]))
        for start in range(0, len(self.gallery_embeddings), tile_rows):
            tile = slice(start, start + tile_rows)
            similarities = (queries @ self.gallery_embeddings[tile].double().T).float()
            keys[:, tile] = ordering_keys(similarities, self.tie_keys[tile])
        rows, columns = self.removed(query_rows)
        keys[rows, columns] = REMOVED_KEY
        return keys

    def keys_of(self, query_rows: NDArray[np.int64], columns: Tensor) -> Tensor:
        """Ordering keys (C, K) int64 of some gallery items alone, as if all of them counted.

        Args:
            query_rows: (C,) rows of the queries.
            columns: (C, K) gallery columns.
        """
        keys = torch.empty(columns.shape, dtype=torch.int64, device=columns.device)
        queries = torch.from_numpy(query_rows).to(columns.device)
        step = max(1, _TILE_ELEMENTS // max(1, columns.shape[1] * self.gallery_embeddings.shape[1]))
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            # A sum over the last dimension adds up every row in one order: equal rows give equal similarities.
            products = self.gallery_embeddings[columns[part]].double()
            products *= self.query_embeddings[queries[part], None]
            keys[part] = ordering_keys(products.sum(dim=2).float(), self.tie_keys[columns[part]])
        return keys

    def removed(self, query_rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Positions in `query_rows`, and gallery columns, of the items that do not count for a query; (P,) each.

        Args:
            query_rows: (C,) rows of the queries.
        """
        own = self.own_columns[query_rows]
        in_gallery = np.flatnonzero(own >= 0)
        rows, columns = self.exclusions.pairs(query_rows)
        device = self.gallery_embeddings.device
        return (
            torch.from_numpy(np.concatenate([in_gallery, rows])).to(device),
            torch.from_numpy(np.concatenate([own[in_gallery], columns])).to(device),
        )


def _check_embeddings(items: str, embeddings: Tensor, ids: Sequence[str]) -> None:
    if embeddings.ndim != 2 or embeddings.dtype != torch.float32:
        raise ValueError(
            f"{items}_embeddings is {embeddings.dtype} of shape {tuple(embeddings.shape)}; "
            "allowed: torch.float32 of shape (rows, features)"
        )
    if len(ids) != len(embeddings):
        raise ValueError(f"{items}_embeddings has {len(embeddings)} rows, but {items}_ids has {len(ids)}")
    seen: set[str] = set()
    for item_id in ids:
        if item_id in seen:
            raise ValueError(f"{items}_ids has {item_id!r} more than once; allowed: unique ids")
        seen.add(item_id)
    # A row with NaN or infinity has a length that is not finite, so one pass finds both kinds of bad rows.
    lengths = torch.linalg.vector_norm(embeddings.detach(), dim=1)
    bad_rows = torch.nonzero(~(((lengths - 1.0).abs() <= UNIT_TOLERANCE) | (lengths == 0)))
    if len(bad_rows) > 0:
        row = int(bad_rows[0])
        problem = (
            f"has length {float(lengths[row]):.4f}; allowed: 1 within {UNIT_TOLERANCE}"
            if bool(torch.isfinite(embeddings[row]).all())
            else "has a value that is not finite"
        )
        raise ValueError(f"{items}_embeddings: row {row} (id {ids[row]!r}) {problem}")


def _check_pair(query_embeddings: Tensor, gallery_embeddings: Tensor) -> None:
    query_size, gallery_size = query_embeddings.shape[1], gallery_embeddings.shape[1]
    if query_size != gallery_size:
        raise ValueError(f"query_embeddings has {query_size} features, but gallery_embeddings has {gallery_size}")
    if query_embeddings.device != gallery_embeddings.device:
        raise ValueError(
            f"query_embeddings is on {query_embeddings.device}, "
            f"but gallery_embeddings is on {gallery_embeddings.device}"
        )
