"""Retrieval task of a catalogue's split (queries, gallery, relevance), and its evaluation with confidence intervals."""

# Shapes: N images of the task, Q queries, G gallery images, D features.

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.table import Catalog
from simtrain.evaluation.chosen_rows import chosen_rows
from simtrain.evaluation.exclusions import Exclusions, exclusions_of
from simtrain.evaluation.image_copies import copied_queries, near_copied, without_copies
from simtrain.evaluation.judged_pairs import JudgedPairs
from simtrain.evaluation.leading import nearest_neighbours
from simtrain.evaluation.metrics import NO_GROUP, QueryScores, relevant_counts, score_queries
from simtrain.evaluation.ranking import Ranking
from simtrain.evaluation.relevance import Relevance
from simtrain.evaluation.relevance_checks import check_answerable, check_not_empty
from simtrain.evaluation.retrieval_set import RelevanceCodes, RetrievalSet
from simtrain.evaluation.statistics import BootstrapSettings, Interval, cluster_bootstrap_intervals


@dataclass(frozen=True, kw_only=True)
class RetrievalTask:
    """Queries and a gallery of one catalogue. Where an image is both, it is not its own neighbour (leave-one-out).

    Exact copies of an image that are relevant to each other count once, as the first of them: any encoder finds a copy,
    and a copy would be the same query again.
    Near copies of a query (of its `near_duplicate_group`, or else `duplicate_group`) do not count for it, neither as
    finds nor as misses: any encoder finds those too.

    Attributes:
        rows: (N,) catalogue rows of all queries and gallery images, ascending.
        queries: (Q,) positions of the queries in `rows`.
        gallery: (G,) positions of the gallery images in `rows`.
        ids: Id of each of the N images.
        groups: (N,) equal where images are relevant to each other; -1 where relevant to none.
        clusters: (N,) units that the bootstrap draws: products, and single images where there are none.
        copied_queries: Number of queries of the catalogue that had an exact copy of themselves in the gallery.
        near_copied_queries: Number of queries that have a near copy of themselves in the gallery.
        excluded: (N, E) codes; a gallery image with a query's code in any of the columns does not count for it. -1:
            none. None: there are no such columns.
        judged: Pairs of positions in `rows` that say what is relevant, in the place of `groups`, whose codes then only
            say by -1 what is judged for no query; None: `groups` say it.
        distractors: (n,) positions in `rows` of gallery images that were added from another split.
        further: Name -> task of the same images by another definition of relevance, whose metrics are shown beside.
    """

    rows: NDArray[np.int64]
    queries: NDArray[np.int64]
    gallery: NDArray[np.int64]
    ids: Sequence[str]
    groups: NDArray[np.int64]
    clusters: NDArray[np.int64]
    copied_queries: int
    near_copied_queries: int = 0
    excluded: NDArray[np.int64] | None = None
    judged: JudgedPairs | None = None
    distractors: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    further: Mapping[str, "RetrievalTask"] = field(default_factory=dict)

    @property
    def query_ids(self) -> list[str]:
        """(Q,) ids."""
        return [self.ids[position] for position in self.queries]

    @property
    def gallery_ids(self) -> list[str]:
        """(G,) ids."""
        return [self.ids[position] for position in self.gallery]

    def exclusions(self, positions: NDArray[np.int64] | None = None) -> Exclusions:
        """Gallery images that do not count, for each query.

        Args:
            positions: (n,) positions in `rows` of the images that search; None: the queries.
        """
        codes = np.empty((len(self.rows), 0), dtype=np.int64) if self.excluded is None else self.excluded
        return exclusions_of(codes, queries=self.queries if positions is None else positions, gallery=self.gallery)

    def nearest(
        self, embeddings: Tensor, positions: NDArray[np.int64], *, k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Nearest gallery images of some images, nearest first.

        Args:
            embeddings: (N, D) unit embeddings of `rows`.
            positions: (n,) positions of the searching images in `rows`.
            k: Number of neighbours of each image; >= 1.

        Returns:
            Positions in `gallery` (n, k), -1 where there are no more, and similarities (n, k).
        """
        ranking = Ranking.of(
            chosen_rows(embeddings, positions),
            chosen_rows(embeddings, self.gallery),
            query_ids=[self.ids[position] for position in positions],
            gallery_ids=self.gallery_ids,
            exclusions=self.exclusions(positions),
        )
        return nearest_neighbours(ranking, k=k)

    def retrieval_set(self, embeddings: Tensor) -> RetrievalSet:
        """(N, D) unit embeddings of `rows` -> embeddings, ids and relevance of queries and gallery."""
        return RetrievalSet(
            query_embeddings=chosen_rows(embeddings, self.queries),
            gallery_embeddings=chosen_rows(embeddings, self.gallery),
            **vars(self.codes()),
        )

    def codes(self) -> RelevanceCodes:
        """Ids and relevance of queries and gallery."""
        return RelevanceCodes(
            query_ids=self.query_ids,
            gallery_ids=self.gallery_ids,
            query_groups=self.groups[self.queries],
            gallery_groups=self.groups[self.gallery],
            exclusions=self.exclusions(),
            judged=self.judged_among(),
        )

    def judged_among(self) -> JudgedPairs | None:
        """The judged pairs by rows of queries and gallery; None: codes say what is relevant."""
        return None if self.judged is None else self.judged.among(self.queries, self.gallery)

    def relevant_to(self, position: int, others: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) whether each of n images is relevant to another one, all by positions in `rows`."""
        if self.judged is not None:
            return self.judged.hold(np.full(len(others), position), others)
        return np.asarray((self.groups[others] == self.groups[position]) & (self.groups[position] != NO_GROUP))

    def score(
        self, embeddings: Tensor, *, precision_ks: Sequence[int] = (), queries: NDArray[np.int64] | None = None
    ) -> QueryScores:
        """One value per query and metric.

        Args:
            embeddings: (N, D) unit embeddings of `rows`.
            precision_ks: The k of precision_at_k, none or each >= 1.
            queries: Positions in `queries` of those to score, ascending; None: all.
        """
        return score_queries(self.retrieval_set(embeddings), precision_ks=precision_ks, queries=queries)

    def answers(self) -> NDArray[np.int64]:
        """(Q,) relevant gallery images of each query, those that do not count for it left out."""
        return relevant_counts(
            self.groups[self.queries],
            self.groups[self.gallery],
            own_columns=self.own_columns(),
            exclusions=self.exclusions(),
            judged=self.judged_among(),
        )

    def own_columns(self) -> NDArray[np.int64]:
        """(Q,) position of each query in `gallery`; -1: it is not there."""
        columns = np.full(len(self.rows), -1, dtype=np.int64)
        columns[self.gallery] = np.arange(len(self.gallery))
        return columns[self.queries]

    def clusters_of(self, scores: QueryScores) -> NDArray[np.int64]:
        """(S,) the `clusters` of the scored queries."""
        return self.clusters[self.queries[scores.query_rows]]


Scorer = Callable[[RetrievalTask, Tensor], QueryScores]
"""Scores the queries of a task by (N, D) unit embeddings of its rows."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The figures of one encoder on one task.

    Attributes:
        metrics: Name -> mean and confidence interval, 0..1.
        queries: Number of queries scored.
        lone_queries: Number of queries left out because no gallery image is relevant to them.
        copied_queries: Number of queries with an exact copy of themselves in the gallery.
        near_copied_queries: Number of queries with a near copy of themselves in the gallery, which does not count.
        gallery: Number of gallery images.
        confidence: Level of the intervals, between 0 and 1.
        distractors: Number of gallery images that were added from another split.
    """

    metrics: dict[str, Interval]
    queries: int
    lone_queries: int
    copied_queries: int
    near_copied_queries: int
    gallery: int
    confidence: float
    distractors: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an unknown interval is null."""
        return {
            "metrics": {name: interval.to_dict() for name, interval in self.metrics.items()},
            "queries": self.queries,
            "lone_queries": self.lone_queries,
            "copied_queries": self.copied_queries,
            "near_copied_queries": self.near_copied_queries,
            "gallery": self.gallery,
            "distractors": self.distractors,
            "confidence": self.confidence,
        }


def retrieval_task(
    catalog: Catalog,
    *,
    split: str,
    gallery_splits: Sequence[str] | None,
    relevance: Relevance,
    distractors: NDArray[np.int64] | None = None,
) -> RetrievalTask:
    """Retrieval task of a split: its `query` images against the `gallery` images of the gallery's splits.

    Args:
        catalog: Catalogue of the images.
        split: Split to evaluate: `train`, `val` or `test`.
        gallery_splits: Splits of the gallery; None: the evaluated split.
        relevance: What makes images relevant to each other.
        distractors: (n,) catalogue rows that join the gallery; None: none.

    Raises:
        CatalogError: if no query has anything to find, with what the catalogue offers instead.
    """
    groups = relevance.codes(catalog)
    every_row = np.arange(len(groups))
    is_query = np.isin(every_row, catalog.rows_of([split])) & catalog.rows["query"].to_numpy(dtype=bool)
    in_gallery_splits = np.isin(every_row, catalog.rows_of(gallery_splits or [split]))
    in_gallery = in_gallery_splits & catalog.rows["gallery"].to_numpy(dtype=bool)
    added = np.empty(0, dtype=np.int64) if distractors is None else distractors
    in_gallery[added] = True
    check_not_empty(catalog, groups, is_query, split=split, relevance=relevance)
    copied, count = copied_queries(catalog, is_query, in_gallery), int(is_query.sum())
    excluded_groups = [catalog.groups([column]) for column in relevance.excluded]
    same_answers = [] if relevance.qrels is not None else [groups]  # copies are judged as one
    rows, is_query, in_gallery = without_copies(catalog, [*same_answers, *excluded_groups], is_query, in_gallery)
    excluded = relevance.exclusion_codes(catalog)[rows]
    products = catalog.groups(["product"])[rows]
    task = RetrievalTask(
        rows=rows,
        queries=np.flatnonzero(is_query[rows]),
        gallery=np.flatnonzero(in_gallery[rows]),
        ids=[str(name) for name in catalog.rows["id"].iloc[rows]],
        groups=groups[rows],
        clusters=np.where(products >= 0, products, products.max(initial=-1) + 1 + np.arange(len(rows))),
        copied_queries=copied,
        near_copied_queries=near_copied(excluded[:, 0], is_query[rows], in_gallery[rows]),
        excluded=excluded,
        judged=None if relevance.qrels is None else relevance.qrels.pairs(catalog, rows),
        distractors=np.flatnonzero(np.isin(rows, added)),
    )
    check_answerable(catalog, task.answers(), queries=count, split=split, relevance=relevance)
    return task


def evaluate_retrieval(
    task: RetrievalTask, embeddings: Tensor, *, bootstrap: BootstrapSettings, score: Scorer = RetrievalTask.score
) -> Evaluation:
    """Retrieval metrics of an encoder's embeddings, with bootstrap intervals over products.

    Metrics by `task.further` have the definition's name before theirs; the counts are of the main relevance.

    Args:
        task: Queries, gallery and relevance.
        embeddings: (N, D) unit embeddings of the task's `rows`.
        bootstrap: Number of draws, confidence and seed of the intervals.
        score: Scores a task.
    """
    scores = score(task, embeddings)
    metrics = _intervals(task, scores, bootstrap=bootstrap)
    for name, further in task.further.items():
        intervals = _intervals(further, score(further, embeddings), bootstrap=bootstrap)
        metrics |= {f"{name}_{metric}": interval for metric, interval in intervals.items()}
    return Evaluation(
        metrics=metrics,
        queries=len(scores.query_rows),
        lone_queries=scores.lone_queries,
        copied_queries=task.copied_queries,
        near_copied_queries=task.near_copied_queries,
        gallery=len(task.gallery),
        confidence=bootstrap.confidence,
        distractors=len(task.distractors),
    )


def _intervals(task: RetrievalTask, scores: QueryScores, *, bootstrap: BootstrapSettings) -> dict[str, Interval]:
    return cluster_bootstrap_intervals(scores.values, task.clusters_of(scores), bootstrap=bootstrap)
