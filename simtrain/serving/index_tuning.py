"""Search settings of an approximate index, tuned on queries that it does not hold."""

# Shapes: N items, D dimensions, Q queries, C candidates of a query.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.serving.search_settings import RECALL_DEPTH, SearchSettings, WidthRange, set_width, width_range

_CANDIDATES = (10, 20, 40, 80, 160, 320, 640)
_CANDIDATE_COST = 8.0
"""Vectors that are compared in an index in the time in which one candidate is read and compared exactly."""

_WIDER = 2
"""Doublings tried after the first width that is enough: a wider search may need fewer candidates."""

_BLOCK_BYTES = 1 << 25
_SUM_TOLERANCE = 1e-5  # sums of float32 products in another order differ by far less


@dataclass(frozen=True, kw_only=True)
class HeldOutQueries:
    """Queries with what an exact search would find."""

    queries: NDArray[np.float32]
    """(Q, D) rows of length 1."""

    vectors: NDArray[Any]
    """(N, D) vectors of all items, float16 or float32."""

    thresholds: NDArray[np.float32]
    """(Q,) similarity of the last neighbour that counts; one as near counts as found, whichever of equals it is."""

    depth: int
    """Neighbours that count, 1 to 10."""

    @staticmethod
    def of(vectors: NDArray[Any], rows: NDArray[np.int64], *, excluded: NDArray[np.int64]) -> HeldOutQueries:
        """Items as queries among the other items.

        Args:
            vectors: (N, D) rows of length 1.
            rows: Rows that are the queries.
            excluded: Rows that are not searched.
        """
        queries = np.ascontiguousarray(vectors[rows], dtype=np.float32)
        depth = min(RECALL_DEPTH, len(vectors) - len(excluded))
        searched = np.ones(len(vectors), dtype=bool)
        searched[excluded] = False
        nearest = np.full((len(rows), depth), -np.inf, dtype=np.float32)
        block = max(1, _BLOCK_BYTES // (4 * vectors.shape[1]))
        for start in range(0, len(vectors), block):
            similarities = queries @ vectors[start : start + block].astype(np.float32).T
            similarities[:, ~searched[start : start + block]] = -np.inf
            nearest = np.partition(np.concatenate([nearest, similarities], axis=1), -depth, axis=1)[:, -depth:]
        return HeldOutQueries(queries=queries, vectors=vectors, thresholds=nearest.min(axis=1), depth=depth)

    def half(self, which: int) -> HeldOutQueries:
        """Every second query, from the first (0) or the second (1); all of them if there is one."""
        every = slice(which, None, 2) if len(self.queries) > 1 else slice(None)
        return HeldOutQueries(
            queries=self.queries[every], vectors=self.vectors, thresholds=self.thresholds[every], depth=self.depth
        )

    def recalls(self, index: Any, *, candidates: list[int]) -> list[float]:
        """Share of the nearest items that are among the first candidates of an index, for each number of candidates."""
        _, rows = index.search(self.queries, max(candidates))
        found = np.zeros(rows.shape, dtype=bool)
        for place, (query, near) in enumerate(zip(self.queries, rows, strict=True)):
            there = near >= 0
            similarities = self.vectors[near[there]].astype(np.float32) @ query
            found[place, there] = similarities >= self.thresholds[place] - _SUM_TOLERANCE
        counts = [np.minimum(found[:, :each].sum(axis=1), self.depth).sum() for each in candidates]
        return [float(count) / (self.depth * len(self.queries)) for count in counts]


@dataclass(frozen=True, kw_only=True)
class _Option:
    settings: SearchSettings
    recall: float
    cost: float


def tuned_settings(index: Any, held_out: HeldOutQueries, *, wanted_recall: float) -> SearchSettings:
    """The cheapest settings that miss at most half of what may be missed; else those with the highest recall.

    Half, because what is best on these queries is a little worse on others.

    Args:
        index: A FAISS index, which is left with these settings.
        held_out: Queries that it does not hold.
        wanted_recall: Share of the ten nearest items that a search has to find, above 0 and below 1.
    """
    goal = (1 + wanted_recall) / 2
    bounds = width_range(index)
    options: list[_Option] = []
    enough = 0
    for width in _doubling(bounds):
        new = _options(index, held_out, width=width, bounds=bounds)
        options += new
        enough += any(option.recall >= goal for option in new)
        if enough > _WIDER:
            break
    passing = [option for option in options if option.recall >= goal]
    if not passing:
        chosen = max(options, key=lambda option: (option.recall, -option.cost)).settings
    else:
        chosen = _narrowed(index, held_out, min(passing, key=lambda option: option.cost).settings, goal=goal)
    if chosen.width is not None:
        set_width(index, chosen.width)
    return chosen


def _doubling(bounds: WidthRange | None) -> Iterator[int | None]:
    if bounds is None:
        yield None
        return
    width = 1
    while width < bounds.largest:
        yield width
        width *= 2
    yield bounds.largest


def _options(index: Any, held_out: HeldOutQueries, *, width: int | None, bounds: WidthRange | None) -> list[_Option]:
    most = index.ntotal
    if width is not None and bounds is not None:
        set_width(index, width)
        most = min(most, width) if bounds.bounds_candidates else most
    largest = min(most, _CANDIDATES[-1])
    numbers = [*(each for each in _CANDIDATES if each < largest), largest]
    compared = 0.0 if width is None or bounds is None else width * bounds.vectors_per_step
    return [
        _Option(
            settings=SearchSettings(width=width, candidates=number),
            recall=recall,
            cost=compared + _CANDIDATE_COST * number,
        )
        for number, recall in zip(numbers, held_out.recalls(index, candidates=numbers), strict=True)
    ]


def _narrowed(index: Any, held_out: HeldOutQueries, settings: SearchSettings, *, goal: float) -> SearchSettings:
    """The smallest width above half of this one that is enough, to a sixteenth."""
    if settings.width is None:
        return settings
    too_small, enough = settings.width // 2, settings.width
    while enough - too_small > max(1, enough // 16):
        middle = (too_small + enough) // 2
        set_width(index, middle)
        (recall,) = held_out.recalls(index, candidates=[settings.candidates])
        too_small, enough = (too_small, middle) if recall >= goal else (middle, enough)
    return SearchSettings(width=enough, candidates=settings.candidates)
