"""Similarity thresholds and cost of an encoder."""

# Shapes: G gallery images, D dimensions.

from __future__ import annotations

import time

from torch import Tensor

from simtrain.comparison.embeddings import EmbeddedEncoder
from simtrain.comparison.fold_scores import EmbeddingLookup
from simtrain.comparison.folds import Fold
from simtrain.comparison.result import Cost
from simtrain.config import ThresholdsConfig
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.evaluation.thresholds import SimilarityThresholds, ThresholdSettings, similarity_thresholds
from simtrain.serving.index_building import exact_index

_TIMED_QUERIES = 1000
_SEARCH_DEPTH = 10
_HISTOGRAM_BINS = 100


def calibrated_thresholds(
    fold: Fold, lookup: EmbeddingLookup, thresholds: ThresholdsConfig, *, bootstrap: BootstrapSettings
) -> SimilarityThresholds | None:
    """Similarity thresholds on the validation split by the main relevance; None: it has no queries."""
    task = fold.validation_tasks.get(next(iter(fold.tasks)))
    if task is None:
        return None
    settings = ThresholdSettings(
        **thresholds.model_dump(),
        bins=_HISTOGRAM_BINS,
        bootstrap=bootstrap,
    )
    found = task.retrieval_set(lookup(fold.rows_of_task(task)))
    return similarity_thresholds(found, task.clusters[task.queries], settings=settings)


def measured_cost(encoder: EmbeddedEncoder, gallery: Tensor) -> Cost:
    """Cost of embedding, and of searching (G, D) unit embeddings of the gallery."""
    vectors = gallery.contiguous().numpy()
    index, queries = exact_index(vectors), vectors[:_TIMED_QUERIES]
    begun = time.perf_counter()
    index.search(queries, k=min(_SEARCH_DEPTH, len(vectors)))
    seconds = time.perf_counter() - begun
    return Cost(
        device=encoder.embedded.device,
        embedding_seconds=encoder.embedded.seconds_per_thousand,
        search_seconds=1000 * seconds / len(queries),
        gallery=len(vectors),
        embedding_bytes=1000 * vectors.shape[1] * vectors.itemsize,
    )
