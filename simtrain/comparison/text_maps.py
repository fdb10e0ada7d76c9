"""Ridge maps from texts to images beside the runs that were trained on both: is tuning better than a linear map?"""

# Shapes: T training images with a caption, M different captions.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.comparison.candidates import Candidate, EncoderFactory
from simtrain.comparison.embeddings import Embedder
from simtrain.comparison.fold_scores import EmbeddingLookup
from simtrain.comparison.folds import Fold
from simtrain.comparison.protocol import ComparisonProtocol
from simtrain.comparison.result import TextMapFigures, Unavailable
from simtrain.comparison.scoring import ScoredEncoder
from simtrain.comparison.text_scores import PooledTextScores, pooled_text_scores
from simtrain.comparison.verdict import PairedComparison, Verdict, VerdictSettings, verdicts_with_correction
from simtrain.encoders.ridge_text_map import MappedTextEncoder, RidgeTextMap, fit_ridge_text_map
from simtrain.encoders.text import TextEncoder
from simtrain.errors import SimtrainError
from simtrain.evaluation.text_prompts import distinct, filled_texts
from simtrain.files import sha256_of_bytes

JUDGED = "text_to_image_recall_at_1"
"""Metric of the verdicts on texts."""


@dataclass(frozen=True, kw_only=True)
class ScoredTextMap:
    """A ridge map with its scores on the texts of the comparison."""

    figures: TextMapFigures
    scores: PooledTextScores


def score_text_maps(
    candidates: Sequence[Candidate], protocol: ComparisonProtocol, embedder: Embedder
) -> tuple[list[ScoredTextMap], list[Unavailable]]:
    """A ridge map for each run that embeds texts, fitted on the training images with a caption of each fold.

    Runs that began with the same weights share one. Maps that cannot be fitted are listed with the reason. None at all
    where the configuration asks for none, or where training or evaluated images have no captions.
    """
    scored: dict[str, ScoredTextMap] = {}
    unavailable: list[Unavailable] = []
    if not protocol.config.text_map or not _has_captions(protocol):
        return [], []
    for candidate in candidates:
        if not candidate.text_start:
            continue
        name = f"ridge_map_of_{candidate.name}"
        try:
            fitted = [
                _fitted(factory, fold, protocol, embedder)
                for factory, fold in zip(candidate.text_start, protocol.folds, strict=True)
            ]
        except SimtrainError as error:
            unavailable.append(Unavailable(name=name, reason=str(error)))
            continue
        origin = " ".join(of_fold.origin for of_fold in fitted)
        if origin in scored:
            known = scored[origin]
            runs = (*known.figures.runs, candidate.name)
            scored[origin] = replace(known, figures=replace(known.figures, runs=runs))
        else:
            scored[origin] = _scored(name, candidate, fitted, protocol)
    return list(scored.values()), unavailable


def text_verdicts(
    scored_encoders: Sequence[ScoredEncoder], text_maps: Sequence[ScoredTextMap], *, settings: VerdictSettings
) -> list[Verdict]:
    """Verdict of each run on searching images by caption, against its ridge map; one family of Holm's correction."""
    runs = {scored.figures.name: scored.text for scored in scored_encoders}
    comparisons = [
        PairedComparison(
            encoder=run,
            baseline=one.figures.name,
            metric=JUDGED,
            relevance=one.scores.texts,
            values=of_run.values[JUDGED][None],
            baseline_values=one.scores.values[JUDGED][None],
            clusters=one.scores.clusters[JUDGED],
        )
        for one in text_maps
        for run in one.figures.runs
        if (of_run := runs.get(run)) is not None
    ]
    return verdicts_with_correction(comparisons, settings=settings) if comparisons else []


@dataclass(frozen=True, kw_only=True, eq=False)
class _FittedMap:
    """Ridge map of one fold.

    Attributes:
        text_map: The map.
        text_encoder: The initial encoder, which embeds texts.
        images: Embeddings of catalogue rows by the untouched image encoder, as they are.
        origin: Fingerprint of what the map was fitted on.
    """

    text_map: RidgeTextMap
    text_encoder: TextEncoder
    images: EmbeddingLookup
    origin: str


def _has_captions(protocol: ComparisonProtocol) -> bool:
    captions = protocol.config.captions
    return captions is not None and all(
        tasks is not None
        and tasks.captions is not None
        and any(filled_texts(fold.catalog, fold.catalog.rows_of(["train"]), captions))
        for fold, tasks in zip(protocol.folds, protocol.texts, strict=True)
    )


def _captions(fold: Fold, template: str) -> tuple[NDArray[np.int64], list[str], Tensor]:
    """(T,) catalogue rows of the training images with a caption, the M different ones, and (T,) that of each image."""
    rows = fold.catalog.rows_of(["train"])
    texts, of_row = distinct(filled_texts(fold.catalog, rows, template))
    told = of_row >= 0
    return fold.catalog_rows[rows[told]], texts, torch.from_numpy(of_row[told])


def _fitted(factory: EncoderFactory, fold: Fold, protocol: ComparisonProtocol, embedder: Embedder) -> _FittedMap:
    assert protocol.config.captions is not None
    start = factory.build().to(embedder.device).eval()
    assert isinstance(start, TextEncoder)
    rows, texts, of_row = _captions(fold, protocol.config.captions)
    untouched = replace(factory, build=start.pretrained_encoder)
    needed = np.unique(np.concatenate([rows, fold.rows_of_task(fold.main_task)]))
    images = embedder.embed(untouched, needed)
    vectors = start.embed_texts(texts).cpu()
    return _FittedMap(
        text_map=fit_ridge_text_map(images.embedded.of(rows), vectors, of_row),
        text_encoder=start,
        images=images.embedded.of,
        origin=f"{images.fingerprint} {sha256_of_bytes(vectors.numpy().tobytes())}",
    )


def _scored(
    name: str, candidate: Candidate, fitted: Sequence[_FittedMap], protocol: ComparisonProtocol
) -> ScoredTextMap:
    encoders = [MappedTextEncoder(text_encoder=one.text_encoder, text_map=one.text_map) for one in fitted]
    scores = pooled_text_scores(encoders, [_lookup(one) for one in fitted], protocol.folds, protocol.texts)
    assert scores is not None
    maps = [one.text_map for one in fitted]
    figures = TextMapFigures(
        name=name,
        runs=(candidate.name,),
        words=f"ridge regression from the texts to the images of the encoders that {candidate.name} began with",
        strengths=tuple(one.strength for one in maps),
        training_texts=tuple(one.texts for one in maps),
        training_images=tuple(one.images for one in maps),
        text=scores.intervals(bootstrap=protocol.bootstrap),
    )
    return ScoredTextMap(figures=figures, scores=scores)


def _lookup(fitted: _FittedMap) -> EmbeddingLookup:
    return lambda rows: fitted.text_map.of_images(fitted.images(rows))
