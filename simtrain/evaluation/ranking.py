"""Exact ranking of a gallery for each query: by similarity, then by id, never holding all similarities at once.

An *ordering key* is an int64 that is larger for a gallery item that comes earlier in a query's ranking: the float32
similarity in the high half, a number for the item's id in the low half (larger for an id that sorts earlier). Keys of
one query are all different, so the k largest of them, and the number above any of them, are the same on every device,
in every chunk and in every process.
"""

# Shapes: Q queries, G gallery items, D features, C queries of one chunk.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.exclusions import Exclusions, check_exclusions, no_exclusions

CHUNK_ELEMENTS = 2**23
"""Ordering keys held at once, by default: 64 MiB of int64."""

REMOVED_KEY = torch.iinfo(torch.int64).min
"""Key of the query itself, and of items that do not count for it: below the key of every finite similarity."""

_TILE_ELEMENTS = 2**20
_UNIT_TOLERANCE = 1e-3


def nearest_neighbours(
    ranking: Ranking, *, k: int, chunk_elements: int = CHUNK_ELEMENTS
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k gallery items nearest to each query, without the query itself; equal similarities in the order of ids.

    Args:
        ranking: Queries and gallery, from `Ranking.of`.
        k: Number of neighbours of each query; >= 1.
        chunk_elements: Largest number of query-gallery pairs held at once, but at least one query's; >= 1.

    Returns:
        Rows of the gallery (Q, k), nearest first, and their cosine similarities (Q, k) in -1..1 up to rounding. Where a
        query has fewer than k neighbours the rows end in -1 and the similarities in NaN.

    Raises:
        ValueError: k < 1 or chunk_elements < 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}; allowed: 1 or more")
    queries, gallery_size = len(ranking.query_embeddings), len(ranking.gallery_embeddings)
    rows = np.full((queries, k), -1, dtype=np.int64)
    similarities = np.full((queries, k), np.nan, dtype=np.float32)
    for chunk in ranking.chunks(np.arange(queries), chunk_elements=chunk_elements):
        nearest = torch.topk(ranking.keys(chunk), min(k, gallery_size))
        counted = (nearest.values != REMOVED_KEY).cpu().numpy()
        width = counted.shape[1]
        rows[chunk, :width] = np.where(counted, nearest.indices.cpu().numpy(), -1)
        nearest_similarities = _similarities_of(nearest.values).cpu().numpy()
        similarities[chunk, :width] = np.where(counted, nearest_similarities, np.float32(np.nan))
    return rows, similarities


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
            keys[:, tile] = (_ordered_bits(similarities).long() << 32) + self.tie_keys[tile]
        own = self.own_columns[query_rows]
        in_gallery = np.flatnonzero(own >= 0)
        keys[torch.from_numpy(in_gallery).to(device), torch.from_numpy(own[in_gallery]).to(device)] = REMOVED_KEY
        if self.exclusions.query_codes.shape[1]:
            keys.masked_fill_(self.exclusions.mask(query_rows, device=device), REMOVED_KEY)
        return keys


def _ordered_bits(similarities: Tensor) -> Tensor:
    """Float32 as int32 of the same order; -0.0 and +0.0 give the same number."""
    # Adding zero turns -0.0 into +0.0. Floats are sign and magnitude, so negative ones have their magnitude flipped.
    bits = (similarities + 0.0).view(torch.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _similarities_of(keys: Tensor) -> Tensor:
    """Float32 similarities, read back from the high halves of ordering keys."""
    ordered = (keys >> 32).int()
    # The flip in `_ordered_bits` keeps the sign bit, so it is its own inverse.
    return (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(torch.float32)


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
    bad_rows = torch.nonzero(~(((lengths - 1.0).abs() <= _UNIT_TOLERANCE) | (lengths == 0)))
    if len(bad_rows) > 0:
        row = int(bad_rows[0])
        problem = (
            f"has length {float(lengths[row]):.4f}; allowed: 1 within {_UNIT_TOLERANCE}"
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
