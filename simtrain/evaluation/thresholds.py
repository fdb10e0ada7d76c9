"""Similarity thresholds by precision: similarities above which a stated share of the results shown is relevant.

The pairs counted are those that a shop looks at: each query with its k nearest neighbours, as a search shows them. "Of
the results shown with a similarity of at least this, 95 % are relevant" is a promise about search. Relevant ones among
*all* pairs are another prior: most of them are of the few largest groups (a class of 700 images has 489,300), and no
search shows them. High thresholds hardly differ, as pairs above them are neighbours anyway, but recalls do: on 2,394
rendered pictures of furniture in 12 categories, precision 0.9 was reached at 0.794 by 10 neighbours and at 0.797 by all
pairs, with a recall of 40 % and of 1 %. `neighbours` as large as the gallery counts all pairs.

Neighbours depend on the gallery: a threshold belongs to one encoder and to catalogues of about the size and kind that
it was measured on. With an eighth of those products the 0.794 was 0.725.
"""

# Shapes: Q queries, G gallery items, D features, A asking queries, k neighbours, L pairs, B queries of one block.

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simtrain.evaluation.chosen_rows import chosen_rows
from simtrain.evaluation.leading import nearest_neighbours
from simtrain.evaluation.metrics import NO_GROUP
from simtrain.evaluation.ranking import Ranking
from simtrain.evaluation.retrieval_set import RetrievalSet
from simtrain.evaluation.statistics import BootstrapSettings, cluster_bootstrap_interval

_TILE_ELEMENTS = 2**22
"""Similarities held at once for the histogram: 16 MiB, and ten times as much while they are counted."""


@dataclass(frozen=True, kw_only=True)
class ThresholdSettings:
    """Settings of the calibration of thresholds. `config` holds the defaults."""

    precisions: Sequence[float]
    """Wanted precisions: shares of relevant pairs, each above 0 and below 1, such as 0.9, 0.95 and 0.99."""
    neighbours: int
    """Number of results that a search shows, k; >= 1, such as 10."""
    minimum_errors: int
    """A threshold needs so many pairs that this number of wrong ones is expected among them at the wanted precision:
    5 asks for 50 pairs at 0.9, 100 at 0.95 and 500 at 0.99; >= 1."""
    maximum_queries: int
    """Largest number of queries; of more, so many are drawn at random; >= 1, such as 5000."""
    bins: int
    """Number of bins of the histograms, from similarity -1 to 1; >= 1, such as 200."""
    bootstrap: BootstrapSettings
    """Settings of the bootstrap over products for each precision's interval; its seed also draws the queries."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The similarity for one wanted precision, or why there is none."""

    wanted_precision: float
    similarity: float | None
    """The lowest one with the wanted precision among the pairs at or above it; None if `reason` says why not."""
    precision: float | None
    """Precision of the pairs at or above it, 0 to 1; None without a threshold."""
    precision_low: float | None
    """Lower end of its interval; None without a threshold, or if all pairs are of one product. Pairs are less evidence
    than they seem, as two images are often each other's neighbours and a product's images succeed together. The
    interval knows that, but not that the similarity was looked for: where a precision can barely be reached, expect
    less of it on other products."""
    precision_high: float | None
    """Upper end of its interval; None as for `precision_low`."""
    recall: float | None
    """Share of the relevant neighbours shown (of all similarities) that are at or above it."""
    positives: int
    """Number of relevant pairs at or above it; 0 without a threshold."""
    negatives: int
    """Number of other pairs at or above it; 0 without a threshold."""
    queries: int
    """Number of queries that those pairs belong to; 0 without a threshold."""
    stricter_hold: bool | None
    """Every higher similarity with enough pairs above it reaches the precision as well. False where the most similar
    pairs are often wrong: copies of one image under two products, labels in error."""
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class SimilarityHistogram:
    """Pairs by similarity; bin i holds those from `edges[i]` to below `edges[i + 1]`, the last also those of 1."""

    edges: tuple[float, ...]
    positives: tuple[int, ...]
    negatives: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SimilarityThresholds:
    """Thresholds of one encoder on one split, and the counts that they come from."""

    thresholds: tuple[Threshold, ...]
    """In the order of the wanted precisions."""
    neighbours: int
    """Number of results that a search shows, k."""
    queries: int
    """Number of queries that were counted, after drawing."""
    queries_drawn_from: int
    """Number of queries before drawing: all with a group, also those without a relevant gallery image."""
    gallery: int
    """Number of gallery images: always all of them, so that drawing queries does not change the share of pairs."""
    positives: int
    """Number of relevant pairs among queries and their k neighbours."""
    negatives: int
    """Number of the other pairs."""
    neighbour_pairs: SimilarityHistogram
    """Queries with their k neighbours: what the thresholds come from."""
    all_pairs: SimilarityHistogram
    """The same queries with the whole gallery."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """Queries and neighbours, by falling similarity."""

    similarities: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    queries: NDArray[np.int64]
    clusters: NDArray[np.int64]


def similarity_thresholds(
    retrieval: RetrievalSet, clusters: NDArray[np.int64], *, settings: ThresholdSettings
) -> SimilarityThresholds:
    """Calibrate thresholds on queries that are held out: never training images, and best of a split that chose nothing.

    Queries with a group ask, also those without anything to find: shops have such too, and whatever is shown for them
    is wrong. As in the metrics, a query is not its own neighbour, nor is what does not count for it, and gallery items
    without a group are relevant to none. From more than `maximum_queries` some are drawn, each of which still sees the
    whole gallery: the share of relevant pairs stays right without weights, which drawing pairs would not give.

    Args:
        retrieval: Queries and gallery; leave-one-out is the same set twice.
        clusters: (Q,) the product of each query, which the bootstrap draws.
        settings: Wanted precisions, number of neighbours, and what a threshold needs.

    Raises:
        ValueError: No query with a group, settings out of range, or as `Ranking.of`.
    """
    _check(retrieval, clusters, settings)
    asking = np.flatnonzero(retrieval.query_groups != NO_GROUP)
    if len(asking) == 0:
        raise ValueError(
            f"none of {len(retrieval.query_groups)} queries has a group; needed: a code of 0 or more for at least one"
        )
    queries = asking
    if len(asking) > settings.maximum_queries:
        generator = np.random.default_rng(settings.bootstrap.seed)
        queries = np.sort(generator.choice(asking, settings.maximum_queries, replace=False))
    pairs = _neighbour_pairs(retrieval, clusters, queries, neighbours=settings.neighbours)
    positives = int(pairs.relevant.sum())
    return SimilarityThresholds(
        thresholds=tuple(_threshold(pairs, precision, settings=settings) for precision in settings.precisions),
        neighbours=settings.neighbours,
        queries=len(queries),
        queries_drawn_from=len(asking),
        gallery=len(retrieval.gallery_ids),
        positives=positives,
        negatives=len(pairs.relevant) - positives,
        neighbour_pairs=_histogram(_counts(pairs.similarities, pairs.relevant, bins=settings.bins)),
        all_pairs=_histogram(_counts_of_all_pairs(retrieval, queries, bins=settings.bins)),
    )


def _neighbour_pairs(
    retrieval: RetrievalSet, clusters: NDArray[np.int64], queries: NDArray[np.int64], *, neighbours: int
) -> _Pairs:
    ranking = Ranking.of(
        chosen_rows(retrieval.query_embeddings, queries),
        retrieval.gallery_embeddings,
        query_ids=[retrieval.query_ids[row] for row in queries],
        gallery_ids=retrieval.gallery_ids,
        exclusions=None if retrieval.exclusions is None else retrieval.exclusions.of(queries),
    )
    rows, similarities = nearest_neighbours(ranking, k=min(neighbours, len(retrieval.gallery_ids)))
    indices, ranks = np.nonzero(rows >= 0)
    cosines = similarities[indices, ranks].astype(np.float64)
    falling = np.argsort(-cosines, kind="stable")
    relevant = retrieval.relevant_pairs(queries[indices], rows[indices, ranks])
    asked = queries[indices[falling]]
    return _Pairs(similarities=cosines[falling], relevant=relevant[falling], queries=asked, clusters=clusters[asked])


def _threshold(pairs: _Pairs, wanted: float, *, settings: ThresholdSettings) -> Threshold:
    # Pairs of equal similarity pass a threshold together, so it can only lie where the similarity changes.
    ends = np.flatnonzero(np.diff(pairs.similarities, append=-np.inf) < 0)
    precisions = np.cumsum(pairs.relevant)[ends] / (ends + 1)
    needed = math.ceil(round(settings.minimum_errors / (1.0 - wanted), 6))
    enough = ends + 1 >= needed
    if not enough.any():
        return _no_threshold(wanted, f"it needs {needed} pairs or more, and there are {len(pairs.relevant)}")
    reached = enough & (precisions >= wanted)
    if not reached.any():
        best = 100 * float(precisions[enough].max())
        return _no_threshold(wanted, f"it needs {needed} pairs or more, and of so many at most {best:.1f} % are right")
    last = int(np.flatnonzero(reached)[-1])
    shown = slice(0, int(ends[last]) + 1)
    positives = int(pairs.relevant[shown].sum())
    interval = cluster_bootstrap_interval(
        pairs.relevant[shown].astype(np.float64),
        pairs.clusters[shown],
        bootstrap=settings.bootstrap,
    )
    ends_of_precision = interval.to_dict()
    return Threshold(
        wanted_precision=wanted,
        similarity=float(pairs.similarities[ends[last]]),
        precision=interval.mean,
        precision_low=ends_of_precision["low"],
        precision_high=ends_of_precision["high"],
        recall=positives / int(pairs.relevant.sum()),
        positives=positives,
        negatives=int(ends[last]) + 1 - positives,
        queries=len(np.unique(pairs.queries[shown])),
        stricter_hold=bool(reached[: last + 1][enough[: last + 1]].all()),
        reason=None,
    )


def _no_threshold(wanted: float, reason: str) -> Threshold:
    return Threshold(
        wanted_precision=wanted,
        similarity=None,
        precision=None,
        precision_low=None,
        precision_high=None,
        recall=None,
        positives=0,
        negatives=0,
        queries=0,
        stricter_hold=None,
        reason=reason,
    )


def _counts_of_all_pairs(retrieval: RetrievalSet, queries: NDArray[np.int64], *, bins: int) -> NDArray[np.int64]:
    """(2, bins): all pairs but those of an image with itself or with what does not count for it, not relevant first."""
    places = {item_id: column for column, item_id in enumerate(retrieval.gallery_ids)}
    own = np.array([places.get(retrieval.query_ids[row], -1) for row in queries], dtype=np.int64)
    device = retrieval.gallery_embeddings.device
    counts = np.zeros((2, bins), dtype=np.int64)
    step = max(1, _TILE_ELEMENTS // max(1, *retrieval.gallery_embeddings.shape))
    for start in range(0, len(queries), step):
        asking = queries[start : start + step]
        block = torch.from_numpy(asking).to(device)
        similarities = retrieval.query_embeddings[block] @ retrieval.gallery_embeddings.T
        bins_of_pairs = ((similarities + 1.0) * (bins / 2)).long().clamp_(0, bins - 1)
        rows, columns = (torch.from_numpy(part).to(device) for part in retrieval.relevant_to(asking))
        bins_of_pairs[rows, columns] += bins
        own_columns = torch.from_numpy(own[start : start + step]).to(device)
        in_gallery = torch.nonzero(own_columns >= 0)[:, 0]
        bins_of_pairs[in_gallery, own_columns[in_gallery]] = 2 * bins
        if retrieval.exclusions is not None:
            rows, left_out = (torch.from_numpy(part) for part in retrieval.exclusions.pairs(asking))
            bins_of_pairs[rows.to(device), left_out.to(device)] = 2 * bins
        counts += (
            torch.bincount(bins_of_pairs.ravel(), minlength=2 * bins + 1)[: 2 * bins].reshape(2, bins).cpu().numpy()
        )
    return counts


def _counts(similarities: NDArray[np.float64], relevant: NDArray[np.bool_], *, bins: int) -> NDArray[np.int64]:
    bins_of_pairs = np.clip(((similarities + 1.0) * (bins / 2)).astype(np.int64), 0, bins - 1)
    return np.bincount(bins_of_pairs + bins * relevant, minlength=2 * bins).reshape(2, bins)


def _histogram(counts: NDArray[np.int64]) -> SimilarityHistogram:
    negatives, positives = counts.tolist()
    edges = np.linspace(-1.0, 1.0, len(negatives) + 1)
    return SimilarityHistogram(edges=tuple(edges.tolist()), positives=tuple(positives), negatives=tuple(negatives))


def _check(retrieval: RetrievalSet, clusters: NDArray[np.int64], settings: ThresholdSettings) -> None:
    for name, of_each, ids_name, ids in (
        ("query_groups", retrieval.query_groups, "query_ids", retrieval.query_ids),
        ("gallery_groups", retrieval.gallery_groups, "gallery_ids", retrieval.gallery_ids),
        ("clusters", clusters, "query_ids", retrieval.query_ids),
    ):
        if of_each.shape != (len(ids),):
            raise ValueError(f"{name} has shape {of_each.shape}, but {ids_name} has {len(ids)}")
    for precision in settings.precisions:
        if not 0.0 < precision < 1.0:
            raise ValueError(f"precisions has {precision}; allowed: above 0 and below 1, such as 0.95")
    for name in ("neighbours", "minimum_errors", "maximum_queries", "bins"):
        number = getattr(settings, name)
        if number < 1:
            raise ValueError(f"{name} is {number}; allowed: 1 or more")
