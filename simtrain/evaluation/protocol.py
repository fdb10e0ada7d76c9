"""Retrieval task of a catalogue's split (queries, gallery, relevance), and its evaluation with confidence intervals."""

# Shapes: N images of the task, Q queries, G gallery images, D features.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.table import Catalog, with_larger_share
from simtrain.errors import CatalogError
from simtrain.evaluation.metrics import QueryScores, RetrievalSet, score_queries
from simtrain.evaluation.statistics import Interval, cluster_bootstrap_intervals


@dataclass(frozen=True, kw_only=True)
class RetrievalTask:
    """Queries and a gallery of one catalogue. Where an image is both, it is not its own neighbour (leave-one-out).

    Exact copies of an image that are relevant to each other count once, as the first of them: any encoder finds a copy,
    and a copy would be the same query again.

    Attributes:
        rows: (N,) catalogue rows of all queries and gallery images, ascending.
        queries: (Q,) positions of the queries in `rows`.
        gallery: (G,) positions of the gallery images in `rows`.
        ids: Id of each of the N images.
        groups: (N,) equal where images are relevant to each other; -1 where relevant to none.
        clusters: (N,) units that the bootstrap draws: products, and single images where there are none.
        copied_queries: Number of queries of the catalogue that had an exact copy of themselves in the gallery.
    """

    rows: NDArray[np.int64]
    queries: NDArray[np.int64]
    gallery: NDArray[np.int64]
    ids: Sequence[str]
    groups: NDArray[np.int64]
    clusters: NDArray[np.int64]
    copied_queries: int

    def retrieval_set(self, embeddings: Tensor) -> RetrievalSet:
        """(N, D) unit embeddings of `rows` -> embeddings, ids and relevance of queries and gallery."""
        return RetrievalSet(
            query_embeddings=embeddings[self.queries],
            gallery_embeddings=embeddings[self.gallery],
            query_ids=[self.ids[position] for position in self.queries],
            gallery_ids=[self.ids[position] for position in self.gallery],
            query_groups=self.groups[self.queries],
            gallery_groups=self.groups[self.gallery],
        )

    def score(self, embeddings: Tensor, *, precision_ks: Sequence[int] = ()) -> QueryScores:
        """(N, D) unit embeddings of `rows` -> one value per query and metric."""
        return score_queries(self.retrieval_set(embeddings), precision_ks=precision_ks)

    def means(self, embeddings: Tensor) -> dict[str, float]:
        """(N, D) unit embeddings of `rows` -> the mean of each metric, 0..1."""
        return self.score(embeddings).means()


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The figures of one encoder on one task.

    Attributes:
        metrics: Name -> mean and confidence interval, 0..1.
        queries: Number of queries scored.
        lone_queries: Number of queries left out because no gallery image is relevant to them.
        copied_queries: Number of queries with an exact copy of themselves in the gallery.
        gallery: Number of gallery images.
        confidence: Level of the intervals.
    """

    metrics: dict[str, Interval]
    queries: int
    lone_queries: int
    copied_queries: int
    gallery: int
    confidence: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an unknown interval is null."""
        return {
            "metrics": {
                name: {"mean": found.mean, "low": _or_null(found.low), "high": _or_null(found.high)}
                for name, found in self.metrics.items()
            },
            "queries": self.queries,
            "lone_queries": self.lone_queries,
            "copied_queries": self.copied_queries,
            "gallery": self.gallery,
            "confidence": self.confidence,
        }


def retrieval_task(
    catalog: Catalog, *, split: str, gallery_splits: Sequence[str] | None, relevance: Sequence[str]
) -> RetrievalTask:
    """Retrieval task of a split: its `query` images against the `gallery` images of the gallery's splits.

    Args:
        catalog: Catalogue of the images.
        split: Split to evaluate: `train`, `val` or `test`.
        gallery_splits: Splits of the gallery; None: the evaluated split.
        relevance: Columns; images with equal values in all of them are relevant to each other.

    Raises:
        CatalogError: if no query has anything to find, with what the catalogue offers instead.
    """
    groups = catalog.groups(relevance)
    asks = np.isin(np.arange(len(groups)), catalog.rows_of([split])) & catalog.rows["query"].to_numpy(dtype=bool)
    found_in = np.isin(np.arange(len(groups)), catalog.rows_of(gallery_splits or [split]))
    can_be_found = found_in & catalog.rows["gallery"].to_numpy(dtype=bool)
    _check_answerable(catalog, groups, asks, can_be_found, split=split, relevance=relevance)
    copied_queries = _copied_queries(catalog, asks, can_be_found)
    rows, asks, can_be_found = _without_copies(catalog, groups, asks, can_be_found)
    products = catalog.groups(["product"])[rows]
    return RetrievalTask(
        rows=rows,
        queries=np.flatnonzero(asks[rows]),
        gallery=np.flatnonzero(can_be_found[rows]),
        ids=[str(name) for name in catalog.rows["id"].iloc[rows]],
        groups=groups[rows],
        clusters=np.where(products >= 0, products, products.max(initial=-1) + 1 + np.arange(len(rows))),
        copied_queries=copied_queries,
    )


def judge(task: RetrievalTask, embeddings: Tensor, *, draws: int, confidence: float, seed: int) -> Evaluation:
    """Metrics of (N, D) unit embeddings of the task's rows, with bootstrap intervals over products."""
    scores = task.score(embeddings)
    clusters = task.clusters[task.queries[scores.query_rows]]
    return Evaluation(
        metrics=cluster_bootstrap_intervals(scores.values, clusters, draws=draws, confidence=confidence, seed=seed),
        queries=len(scores.query_rows),
        lone_queries=scores.lone_queries,
        copied_queries=task.copied_queries,
        gallery=len(task.gallery),
        confidence=confidence,
    )


def filled_columns(rows: pd.DataFrame) -> list[str]:
    """Those of the columns `product` and `label` that hold values."""
    return [name for name in ("product", "label") if rows[name].notna().any()]


def _check_answerable(
    catalog: Catalog,
    groups: NDArray[np.int64],
    asks: NDArray[np.bool_],
    can_be_found: NDArray[np.bool_],
    *,
    split: str,
    relevance: Sequence[str],
) -> None:
    name = " + ".join(relevance)
    if not asks.any():
        raise CatalogError(
            f"{catalog.folder}: split '{split}' has no query images; {with_larger_share(catalog.folder, split)}"
        )
    if not (groups >= 0).any():
        others = [column for column in filled_columns(catalog.rows) if [column] != list(relevance)]
        hint = f"; filled: {', '.join(others)} (set relevance={others[0]})" if others else ""
        raise CatalogError(f"{catalog.folder}: relevance column '{name}' is empty{hint}")
    _, places, counts = np.unique(groups[can_be_found], return_inverse=True, return_counts=True)
    findable = np.zeros(len(groups), dtype=np.int64)
    sizes = dict(zip(groups[can_be_found].tolist(), counts[places].tolist(), strict=True))
    findable[asks] = [sizes.get(group, 0) if group >= 0 else 0 for group in groups[asks].tolist()]
    if not (findable - (asks & can_be_found) > 0).any():
        raise CatalogError(
            f"none of {int(asks.sum())} queries of split '{split}' of {catalog.folder} has another image of its own "
            f"'{name}' to find there; set it to [train,val,test], or {with_larger_share(catalog.folder, split)}",
            argument="gallery_splits",
        )


def _copied_queries(catalog: Catalog, asks: NDArray[np.bool_], can_be_found: NDArray[np.bool_]) -> int:
    pictures = _pictures(catalog)
    in_gallery = np.bincount(pictures[can_be_found], minlength=int(pictures.max(initial=-1)) + 1)
    return int((in_gallery[pictures[asks]] > can_be_found[asks]).sum())


def _without_copies(
    catalog: Catalog, groups: NDArray[np.int64], asks: NDArray[np.bool_], can_be_found: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows that take part, one for all exact copies of a group, and by row whether it, or a copy, asks or is found."""
    taking_part = np.flatnonzero(asks | can_be_found)
    kinds = np.stack([_pictures(catalog)[taking_part], groups[taking_part]], axis=1)
    _, first, place = np.unique(kinds, axis=0, return_index=True, return_inverse=True)
    of_all = taking_part[first][place]
    one_asks, one_found = np.zeros_like(asks), np.zeros_like(can_be_found)
    np.logical_or.at(one_asks, of_all, asks[taking_part])
    np.logical_or.at(one_found, of_all, can_be_found[taking_part])
    return np.sort(taking_part[first]).astype(np.int64), one_asks, one_found


def _pictures(catalog: Catalog) -> NDArray[np.int64]:
    """One number per row, equal where the decoded pictures are equal (without their hashes: where the files are)."""
    exact = next((column for column in ("pixel_sha256", "sha256") if column in catalog.rows.columns), None)
    rows = np.arange(len(catalog.rows), dtype=np.int64)
    if exact is None:
        return rows
    found = catalog.groups([exact])
    return np.where(found >= 0, found, found.max(initial=-1) + 1 + rows)


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else value
