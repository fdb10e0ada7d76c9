"""Scoring of one encoder of a comparison, from its embeddings to its metrics."""

# Shapes: N images, D dimensions, S scored queries.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.comparison.candidates import Candidate
from simtrain.comparison.embeddings import EmbeddedEncoder, Embedder
from simtrain.comparison.encoder_metrics import (
    confusions,
    figures_by_category,
    recall_curve,
    relevance_figures,
)
from simtrain.comparison.fold_scores import (
    CURVE_KS,
    EmbeddingLookup,
    PooledScores,
    pooled_grades,
    pooled_scores,
    pooled_validation_scores,
)
from simtrain.comparison.folds import Fold, fold_indices
from simtrain.comparison.neighbours import AlteredQueries, AlteredScores, altered_scores, found_images
from simtrain.comparison.protocol import ComparisonProtocol
from simtrain.comparison.report_images import FoundImage
from simtrain.comparison.result import EncoderFigures, EncoderKind, Unavailable
from simtrain.comparison.secondary_metrics import calibrated_thresholds, measured_cost
from simtrain.comparison.text_scores import PooledTextScores, pooled_text_scores
from simtrain.comparison.whitened_variants import WhitenedVariant, whitened_variants
from simtrain.encoders.whitening import Whitening, fit_whitening
from simtrain.errors import SimtrainError
from simtrain.evaluation.chosen_rows import chosen_rows
from simtrain.evaluation.geometry import geometry

_GEOMETRY_ROWS = 1000

EmbeddingTransform = Callable[[Tensor], Tensor]
"""(N, D) unit embeddings -> transformed unit embeddings, such as whitened ones."""


@dataclass(frozen=True, kw_only=True)
class ScoredEncoder:
    """An encoder with its scores.

    Attributes:
        figures: Metrics of the encoder, without a verdict yet.
        scores: Definition of relevance -> scores query by query.
        validation: Definition of relevance -> mean of the main metric on the validation splits, 0..1, where they have
            queries.
        validation_scores: The same definitions of relevance -> scores query by query there.
        fingerprints: Fingerprints of its weights, by seed and fold.
        found: Nearest images of the shown queries.
        altered: Which altered copies of images found their originals; None where none were made.
        text: Scores of text retrieval by the first seed; None for encoders that embed no texts, or without texts.
        reopen: Returns its embeddings of the first fold again.
    """

    figures: EncoderFigures
    scores: dict[str, PooledScores]
    validation: dict[str, float]
    validation_scores: dict[str, PooledScores]
    fingerprints: tuple[str, ...]
    found: list[tuple[FoundImage, ...]]
    altered: AlteredScores | None
    text: PooledTextScores | None
    reopen: Callable[[], EmbeddingLookup]


def embed_candidate(
    candidate: Candidate, protocol: ComparisonProtocol, embedder: Embedder
) -> list[list[EmbeddedEncoder]]:
    """For each seed the embedded encoder of each fold; an encoder for all folds is repeated."""
    whitened = whitened_variants(candidate, protocol.config)
    rows = [fold.rows_to_embed(training=bool(whitened)) for fold in protocol.folds]
    seeds = []
    for factories in candidate.seeds:
        if len(factories) == len(rows):
            seeds.append([embedder.embed(factory, of_fold) for factory, of_fold in zip(factories, rows, strict=True)])
        else:
            all_rows = np.unique(np.concatenate(rows))
            seeds.append([embedder.embed(factories[0], all_rows)] * len(rows))
    return seeds


def score_candidate(
    candidate: Candidate, protocol: ComparisonProtocol, embedder: Embedder
) -> tuple[list[ScoredEncoder], list[Unavailable]]:
    """Score an encoder and its whitened variants; variants that cannot be computed are listed with the reason.

    Raises:
        SimtrainError: if the encoder cannot be loaded.
    """
    seeds = embed_candidate(candidate, protocol, embedder)
    altered = embedder.embed_altered(seeds[0][0], protocol.altered)
    unwhitened = _Variant(
        candidate=candidate,
        name=candidate.name,
        kind=candidate.kind,
        description=candidate.description,
        whitened=None,
        transforms=None,
    )
    variants, unavailable = [unwhitened], []
    for whitened in whitened_variants(candidate, protocol.config):
        kind: EncoderKind = "run" if candidate.kind == "run" else "whitened"
        try:
            transforms = [
                [
                    _fold_whitening(one, fold, whitened, protocol)
                    for one, fold in zip(of_seed, protocol.folds, strict=True)
                ]
                for of_seed in seeds
            ]
        except SimtrainError as error:
            unavailable.append(Unavailable(name=whitened.name, reason=str(error)))
        else:
            variants.append(
                replace(
                    unwhitened,
                    name=whitened.name,
                    kind=kind,
                    description=whitened.description,
                    whitened=whitened,
                    transforms=transforms,
                )
            )
    return [_scored_variant(variant, seeds, altered, protocol, embedder) for variant in variants], unavailable


@dataclass(frozen=True, kw_only=True)
class _Variant:
    """A candidate as it is, or whitened with a transform for each seed and fold."""

    candidate: Candidate
    name: str
    kind: EncoderKind
    description: str
    whitened: WhitenedVariant | None
    transforms: Sequence[Sequence[Whitening]] | None


def _fold_whitening(
    encoder: EmbeddedEncoder, fold: Fold, variant: WhitenedVariant, protocol: ComparisonProtocol
) -> Whitening:
    """Whitening learned from a fold's training images, embedded by one seed's encoder."""
    settings = protocol.config.whitening
    assert settings is not None
    training = encoder.embedded.of(fold.catalog_rows[fold.training_rows])
    return fit_whitening(training, dimensions=None, shrinkage=settings.shrinkage, power=variant.power)


def _scored_variant(
    variant: _Variant,
    seeds: Sequence[Sequence[EmbeddedEncoder]],
    altered: Sequence[AlteredQueries],
    protocol: ComparisonProtocol,
    embedder: Embedder,
) -> ScoredEncoder:
    transforms: Sequence[Sequence[EmbeddingTransform]] = variant.transforms or [
        [_identity] * len(protocol.folds)
    ] * len(seeds)
    lookups = [
        [_lookup(of_fold.embedded.of, transform) for of_fold, transform in zip(of_seed, of_transforms, strict=True)]
        for of_seed, of_transforms in zip(seeds, transforms, strict=True)
    ]
    scores = {
        relevance: pooled_scores(
            protocol.folds, lookups, relevance=relevance, recall_ks=CURVE_KS if index == 0 else CURVE_KS[:10]
        )
        for index, relevance in enumerate(protocol.relevance)
    }
    validation = _validation_scores(protocol, lookups)
    first, transform = seeds[0][0], transforms[0][0]
    transformed = [replace(one, embeddings=transform(one.embeddings)) for one in altered]
    of_altered = altered_scores(protocol.folds[0], lookups[0][0], transformed)
    text = None
    if variant.transforms is None:  # whitening moves images out of the space of their texts
        encoders = [of_fold.encoder for of_fold in seeds[0]]
        text = pooled_text_scores(encoders, lookups[0], protocol.folds, protocol.texts)
    # Taken out of `first`, so that `reopen` does not hold its embeddings in memory.
    factory, kept_as, rows, whitening = first.factory, first.kept_as, first.embedded.rows, first.encoder.whitening
    return ScoredEncoder(
        figures=replace(
            _figures(variant, seeds, lookups, scores, of_altered, protocol),
            text={} if text is None else text.intervals(bootstrap=protocol.bootstrap),
        ),
        scores=scores,
        validation={name: _mean_of_folds(one, protocol.config.metric) for name, one in validation.items()},
        validation_scores=validation,
        fingerprints=tuple(of_fold.fingerprint for of_seed in seeds for of_fold in of_seed),
        altered=of_altered,
        text=text,
        found=found_images(protocol.folds[0], lookups[0][0], protocol.shown, count=protocol.config.pictures.neighbours),
        reopen=lambda: _lookup(embedder.reload(factory, kept_as, rows, whitening=whitening).of, transform),
    )


def _figures(
    variant: _Variant,
    seeds: Sequence[Sequence[EmbeddedEncoder]],
    lookups: Sequence[Sequence[EmbeddingLookup]],
    scores: dict[str, PooledScores],
    altered: AlteredScores | None,
    protocol: ComparisonProtocol,
) -> EncoderFigures:
    """Metrics over all seeds and folds; confusions, robustness, geometry, thresholds and cost of the first alone."""
    fold, lookup, bootstrap = protocol.folds[0], lookups[0][0], protocol.bootstrap
    task, rows, main_scores = fold.main_task, fold.rows_of_task(fold.main_task), next(iter(scores.values()))
    vectors = lookup(rows)
    graded = pooled_grades(protocol.folds, lookups, levels=protocol.levels) if len(protocol.levels) > 1 else None
    first = seeds[0][0]
    record = {
        "fingerprint": first.fingerprint,
        "images": first.image_source,
        "embedding": first.embedded.arithmetic.to_dict(),
    }
    return EncoderFigures(
        name=variant.name,
        kind=variant.kind,
        words=variant.description,
        title=variant.candidate.title.words(
            image_size=seeds[0][0].encoder.preprocessing.image_size,
            whitened=None if variant.whitened is None else variant.whitened.adjective,
        ),
        export=_export(variant, protocol),
        seeds=len(seeds),
        embedding_size=vectors.shape[1],
        relevances={
            relevance: relevance_figures(relevance, of, categories=protocol.categories, bootstrap=bootstrap)
            for relevance, of in scores.items()
        },
        grades={} if graded is None else graded.intervals(list(graded.values), bootstrap=bootstrap),
        recall_curve=recall_curve(main_scores),
        categories=figures_by_category(main_scores, protocol.categories, bootstrap=bootstrap),
        confused=confusions(task, rows, vectors, protocol.categories),
        robustness=[] if altered is None else altered.figures(bootstrap=bootstrap),
        geometry=geometry(vectors, task.groups, most_rows=_GEOMETRY_ROWS, seed=bootstrap.seed),
        thresholds=calibrated_thresholds(fold, lookup, protocol.config.thresholds, bootstrap=bootstrap),
        cost=measured_cost(first, chosen_rows(vectors, task.gallery)),
        details={**variant.candidate.details(), **record},
    )


def _export(variant: _Variant, protocol: ComparisonProtocol) -> tuple[str, ...] | None:
    arguments, settings = variant.candidate.export, protocol.config.whitening
    if arguments is None:
        return None
    if variant.whitened is None or settings is None:
        return arguments.as_is()
    return arguments.whitened(power=variant.whitened.power, shrinkage=settings.shrinkage)


def _validation_scores(
    protocol: ComparisonProtocol, lookups: Sequence[Sequence[EmbeddingLookup]]
) -> dict[str, PooledScores]:
    """Definition of relevance -> scores on the validation splits, where each fold has queries there."""
    return {
        relevance: pooled_validation_scores(protocol.folds, lookups, relevance=relevance)
        for relevance in protocol.relevance
        if all(relevance in fold.validation_tasks for fold in protocol.folds)
    }


def _mean_of_folds(scores: PooledScores, metric: str) -> float:
    """Mean over seeds and folds, each fold counting alike however many queries it has."""
    values, folds = scores.over_seeds(metric), fold_indices(scores.clusters)
    return float(np.mean([values[folds == fold].mean() for fold in np.unique(folds)]))


def _lookup(embeddings_of: Callable[[NDArray[np.int64]], Tensor], transform: EmbeddingTransform) -> EmbeddingLookup:
    return lambda rows: transform(embeddings_of(rows))


def _identity(vectors: Tensor) -> Tensor:
    return vectors
