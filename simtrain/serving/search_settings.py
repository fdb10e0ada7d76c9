"""How far a search in an approximate FAISS index looks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

RECALL_DEPTH = 10
"""Neighbours looked at when an index is measured against exact search."""

_LARGEST_GRAPH_WIDTH = 2048
_NEIGHBOURS_IN_GRAPH = 32


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """Settings of a search, as they were tuned."""

    width: int | None
    """Inverted lists that are looked into (`nprobe`), or nodes of a graph that are kept (`efSearch`); None: the index
    has neither."""

    candidates: int
    """Items whose exact similarity is computed to find 10 neighbours, 1 or more; for more neighbours as many more, and
    in as many more inverted lists."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (isinstance(value, int) and value >= 1) and (name, value) != ("width", None):
                raise ValueError(f"{name} is {value!r}; allowed: 1 or more")

    @staticmethod
    def from_dict(values: dict[str, Any]) -> SearchSettings:
        """What `to_dict` gave; raises KeyError, TypeError or ValueError for anything else."""
        return SearchSettings(width=values["width"], candidates=values["candidates"])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def candidates_for(self, neighbours: int) -> int:
        """Items to compare exactly when so many neighbours are wanted."""
        return max(self.candidates, -(-neighbours * self.candidates // RECALL_DEPTH), neighbours)


@dataclass(frozen=True, kw_only=True)
class WidthRange:
    """What `SearchSettings.width` may be for an index."""

    name: str
    """FAISS's word for it."""

    largest: int

    vectors_per_step: float
    """About how many vectors are compared for each 1 of width."""

    bounds_candidates: bool
    """Whether a search gives no more candidates than its width."""


def width_range(index: Any) -> WidthRange | None:
    """The range of the search width of a FAISS index; None: it has no such setting."""
    inverted = faiss.try_extract_index_ivf(index)
    if inverted is not None:
        per_list = index.ntotal / inverted.nlist
        return WidthRange(name="nprobe", largest=inverted.nlist, vectors_per_step=per_list, bounds_candidates=False)
    if isinstance(innermost(index), faiss.IndexHNSW):
        largest = max(1, min(_LARGEST_GRAPH_WIDTH, index.ntotal))
        return WidthRange(
            name="efSearch", largest=largest, vectors_per_step=_NEIGHBOURS_IN_GRAPH, bounds_candidates=True
        )
    return None


def set_width(index: Any, width: int) -> None:
    """Set the search width of a FAISS index that has one.

    Raises:
        ValueError: if it has none.
    """
    inverted, inner = faiss.try_extract_index_ivf(index), innermost(index)
    if inverted is not None:
        inverted.nprobe = min(width, inverted.nlist)
        coarse = faiss.downcast_index(inverted.quantizer)
        if isinstance(coarse, faiss.IndexHNSW):
            coarse.hnsw.efSearch = max(2 * inverted.nprobe, _NEIGHBOURS_IN_GRAPH)
    elif isinstance(inner, faiss.IndexHNSW):
        inner.hnsw.efSearch = width
    else:
        raise ValueError("the index has no search width")


def parameters_for(index: Any, settings: SearchSettings, *, neighbours: int) -> Any:
    """FAISS's parameters of one search for more than 10 neighbours, which lie in more inverted lists; None: as set."""
    inverted = innermost(index)
    if not isinstance(inverted, faiss.IndexIVF) or settings.width is None or neighbours <= RECALL_DEPTH:
        return None
    wider = min(inverted.nlist, -(-neighbours * settings.width // RECALL_DEPTH))
    parameters = faiss.SearchParametersIVF(nprobe=wider)  # type: ignore[call-arg]  # FAISS adds them to SWIG's
    if isinstance(index, faiss.IndexPreTransform):
        return faiss.SearchParametersPreTransform(index_params=parameters)  # type: ignore[call-arg]  # the same
    return parameters


def innermost(index: Any) -> Any:
    """The index within id maps and transformations; `index` has to stay referenced, as it owns the others."""
    while isinstance(index, faiss.IndexIDMap | faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index


def found_by(index: Any, queries: NDArray[np.float32], count: int, *, parameters: Any) -> NDArray[np.int64]:
    """(Q, count) ids that a FAISS index finds; -1 where it finds fewer.

    Args:
        index: The FAISS index.
        queries: (Q, D) float32.
        count: Neighbours, 1 or more.
        parameters: From `parameters_for`.
    """
    # FAISS's own search: pytorch-metric-learning imports what puts another in its place, which takes no parameters.
    search = getattr(index, "search_numpy", index.search)
    found: NDArray[np.int64] = search(queries, count, params=parameters)[1]
    return found
