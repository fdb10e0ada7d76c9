"""Scoring of one encoder of a comparison, from its embeddings to its metrics."""

# Shapes: N images, D dimensions, S scored queries.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.comparison.candidates import Contender
from simtrain.comparison.embeddings import EmbeddedMember, Embedder
from simtrain.comparison.encoder_metrics import (
    CatalogCategories,
    confusions,
    figures_by_category,
    recall_curve,
    relevance_figures,
)
from simtrain.comparison.fold_scores import CURVE_KS, PRECISION_KS, Look, PooledScores, pooled_grades, pooled_scores
from simtrain.comparison.folds import Part
from simtrain.comparison.neighbours import VariedQueries, found_images, variant_figures
from simtrain.comparison.result import EncoderFigures, EncoderKind, FoundImage, Unavailable
from simtrain.comparison.secondary_metrics import cost_of, text_figures, thresholds_of
from simtrain.comparison.whitened_variants import WhitenedVariant, whitened_variants
from simtrain.config import CompareConfig
from simtrain.data.robustness import QueryVariant
from simtrain.encoders.whitening import Whitening, fit_whitening
from simtrain.errors import SimtrainError
from simtrain.evaluation.geometry import geometry
from simtrain.evaluation.relevance import Relevance
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.evaluation.text_task import TextTask

_GEOMETRY_ROWS = 1000

Change = Callable[[Tensor], Tensor]
"""(N, D) unit embeddings -> others of unit length."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """Evaluation protocol of a comparison, the same for every encoder.

    Attributes:
        config: Configuration of the comparison.
        parts: Folds, or one part for the catalogue's own splits.
        relevances: Definitions of relevance by name, the main one first.
        levels: Levels of relevance of ndcg_at_10, each a list of columns; empty: no grades.
        categories: Category of each catalogue row; None: there are none.
        texts: Text retrieval task of each fold; None: there are no texts.
        varied: Alterations of images, each with the catalogue rows that it is applied to.
        shown: Positions of the shown queries among the first fold's main queries.
        bootstrap: Settings of the intervals.
    """

    config: CompareConfig
    parts: Sequence[Part]
    relevances: Mapping[str, Relevance]
    levels: Sequence[Sequence[str]]
    categories: CatalogCategories | None
    texts: Sequence[TextTask | None]
    varied: Sequence[tuple[QueryVariant, NDArray[np.int64]]]
    shown: Sequence[int]
    bootstrap: BootstrapSettings

    @property
    def relevance(self) -> list[str]:
        """Names of the definitions of relevance, the main one first."""
        return list(self.relevances)


@dataclass(frozen=True, kw_only=True)
class ScoredEncoder:
    """An encoder with its scores.

    Attributes:
        figures: Its metrics, without a verdict yet.
        scores: Definition of relevance -> scores query by query.
        validation: Definition of relevance -> mean of the main metric on the validation splits, where they have
            queries.
        fingerprints: Fingerprints of its members, by seed and fold.
        found: Nearest images of the shown queries.
        reopen: Returns its embeddings of the first fold again.
    """

    figures: EncoderFigures
    scores: dict[str, PooledScores]
    validation: dict[str, float]
    fingerprints: tuple[str, ...]
    found: list[tuple[FoundImage, ...]]
    reopen: Callable[[], Look]


def embedded_seeds(contender: Contender, question: Question, embedder: Embedder) -> list[list[EmbeddedMember]]:
    """For each seed of a candidate its embedded members, one for each fold; a member for all folds is repeated."""
    whitened = whitened_variants(contender, question.config)
    places = [part.needed_places(training=bool(whitened)) for part in question.parts]
    seeds = []
    for members in contender.seeds:
        if len(members) == len(places):
            seeds.append([embedder.embed(member, of_part) for member, of_part in zip(members, places, strict=True)])
        else:
            every_place = np.unique(np.concatenate(places))
            seeds.append([embedder.embed(members[0], every_place)] * len(places))
    return seeds


def entries_of(
    contender: Contender, question: Question, embedder: Embedder
) -> tuple[list[ScoredEncoder], list[Unavailable]]:
    """The scored encoder and its whitened variants, or why those are impossible.

    Raises:
        SimtrainError: if the encoder cannot be loaded.
    """
    seeds = embedded_seeds(contender, question, embedder)
    varied = embedder.embed_varied(seeds[0][0], question.varied)
    plain = _Asked(contender=contender, name=contender.name, kind=contender.kind, words=contender.words, changes=None)
    asked, lacking = [plain], []
    for variant in whitened_variants(contender, question.config):
        kind: EncoderKind = "run" if contender.kind == "run" else "whitened"
        try:
            changes = [
                [_whitening(one, part, variant, question) for one, part in zip(of_seed, question.parts, strict=True)]
                for of_seed in seeds
            ]
            asked.append(replace(plain, name=variant.name, kind=kind, words=variant.words, changes=changes))
        except SimtrainError as error:
            lacking.append(Unavailable(name=variant.name, reason=str(error)))
    return [_entry(one, seeds, varied, question, embedder) for one in asked], lacking


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """A contender, or the same whitened: with a change for each seed and fold."""

    contender: Contender
    name: str
    kind: EncoderKind
    words: str
    changes: Sequence[Sequence[Whitening]] | None


def _whitening(embedded: EmbeddedMember, part: Part, variant: WhitenedVariant, question: Question) -> Whitening:
    """Learned from the training images of a fold by one seed's encoder."""
    settings = question.config.whitening
    assert settings is not None
    training = embedded.embedded.of(part.places[part.training])
    return fit_whitening(training, dimensions=None, shrinkage=settings.shrinkage, power=variant.power)


def _entry(
    asked: _Asked,
    seeds: Sequence[Sequence[EmbeddedMember]],
    varied: Sequence[VariedQueries],
    question: Question,
    embedder: Embedder,
) -> ScoredEncoder:
    changes: Sequence[Sequence[Change]] = asked.changes or [[_unchanged] * len(question.parts)] * len(seeds)
    looks = [
        [_look(of_part.embedded.of, change) for of_part, change in zip(of_seed, of_changes, strict=True)]
        for of_seed, of_changes in zip(seeds, changes, strict=True)
    ]
    scores = {
        relevance: pooled_scores(
            question.parts, looks, relevance=relevance, recall_ks=CURVE_KS if place == 0 else CURVE_KS[:10]
        )
        for place, relevance in enumerate(question.relevance)
    }
    changed = [replace(one, vectors=changes[0][0](one.vectors)) for one in varied]
    first, change = seeds[0][0], changes[0][0]
    member, fingerprint, rows = first.member, first.fingerprint, first.embedded.rows  # not what `first` holds
    return ScoredEncoder(
        figures=_figures(asked, seeds, looks, scores, changed, question),
        scores=scores,
        validation=_validation(question, looks),
        fingerprints=tuple(of_part.fingerprint for of_seed in seeds for of_part in of_seed),
        found=found_images(question.parts[0], looks[0][0], question.shown, count=question.config.pictures.neighbours),
        reopen=lambda: _look(embedder.again(member, fingerprint, rows).of, change),
    )


def _figures(
    asked: _Asked,
    seeds: Sequence[Sequence[EmbeddedMember]],
    looks: Sequence[Sequence[Look]],
    scores: dict[str, PooledScores],
    varied: Sequence[VariedQueries],
    question: Question,
) -> EncoderFigures:
    """Those that need embeddings one by one are of the first seed and part."""
    part, look, bootstrap = question.parts[0], looks[0][0], question.bootstrap
    task, places, main = part.main, part.task_places(part.main), next(iter(scores.values()))
    vectors = look(places)
    graded = pooled_grades(question.parts, looks, levels=question.levels) if len(question.levels) > 1 else None
    return EncoderFigures(
        name=asked.name,
        kind=asked.kind,
        words=asked.words,
        seeds=len(seeds),
        embedding_size=vectors.shape[1],
        relevances={
            relevance: relevance_figures(relevance, of, categories=question.categories, bootstrap=bootstrap)
            for relevance, of in scores.items()
        },
        grades={} if graded is None else graded.intervals(list(graded.values), bootstrap=bootstrap),
        recall_curve=recall_curve(main),
        categories=figures_by_category(main, question.categories, bootstrap=bootstrap),
        confused=confusions(task, places, vectors, question.categories),
        robustness=variant_figures(part, look, varied, bootstrap=bootstrap),
        text={}
        if asked.changes is not None
        else text_figures(seeds[0], looks[0], question.parts, question.texts, bootstrap=bootstrap),
        geometry=geometry(vectors, task.groups, most_rows=_GEOMETRY_ROWS, seed=bootstrap.seed),
        thresholds=thresholds_of(part, look, question.config.thresholds, bootstrap=bootstrap),
        cost=cost_of(seeds[0][0], vectors[torch.from_numpy(task.gallery)]),
        details={**asked.contender.details(), "fingerprint": seeds[0][0].fingerprint, "images": seeds[0][0].told},
    )


def _validation(question: Question, looks: Sequence[Sequence[Look]]) -> dict[str, float]:
    """Mean over seeds and parts, by idea of relevance."""
    found = {}
    for relevance in question.relevance:
        if any(relevance not in part.validations for part in question.parts):
            continue
        tasks = [part.validations[relevance] for part in question.parts]
        means = [
            task.score(look(part.task_places(task)), precision_ks=PRECISION_KS).means()[question.config.metric]
            for of_seed in looks
            for part, task, look in zip(question.parts, tasks, of_seed, strict=True)
        ]
        found[relevance] = float(np.mean(means))
    return found


def _look(of: Callable[[NDArray[np.int64]], Tensor], change: Change) -> Look:
    return lambda places: change(of(places))


def _unchanged(vectors: Tensor) -> Tensor:
    return vectors
