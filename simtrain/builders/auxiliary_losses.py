"""Builder of auxiliary losses: image-text, relational distillation, and regularisation towards the initial weights."""

from typing import Literal

from torch import Tensor

from simtrain.builders.training_inputs import TrainingFacts
from simtrain.config import ClipConfig, KeepConfig, RelationNeeds, RunConfig, TextsConfig
from simtrain.data.texts import CatalogTexts
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import AlignedEncoder
from simtrain.modules.global_batch import SideTerms
from simtrain.modules.image_text_pairs import Words
from simtrain.modules.relational_teacher import RelationalTeacher
from simtrain.modules.start_regulariser import StartKeeper

_KEPT = KeepConfig(distillation=1.0, weight_distance=1e5)
"""Regularisation of a `clip` encoder that is trained on images alone."""


def wants_start(config: RunConfig) -> bool:
    """Whether the run regularises towards its initial encoder."""
    return any(_kept(config))


def side_terms(config: RunConfig, *, encoder: Encoder, facts: TrainingFacts) -> SideTerms:
    """Auxiliary losses of a run; sets whether the encoder's scale learns."""
    distillation, distance = _kept(config)
    keeper = None
    if facts.start is not None and (distillation or distance):
        keeper = StartKeeper(facts.start, distillation=distillation, weight_distance=distance)
    words = None
    if config.texts is not None and facts.texts is not None:
        words = _words(config.texts, facts.texts, facts.text_embeddings, encoder=encoder, config=config)
    needs = config.objective.needs
    return SideTerms(
        words=words,
        words_weight=needs.texts_weight,
        keeper=keeper,
        teacher=_teacher(needs.relations, facts),
        teacher_weight=needs.relations.weight if needs.relations is not None else 0.0,
        validation_texts=facts.validation_texts,
    )


def _teacher(needs: RelationNeeds | None, facts: TrainingFacts) -> RelationalTeacher | None:
    if needs is None or facts.teacher is None:
        return None
    return RelationalTeacher(
        facts.teacher,
        duplicate_groups=facts.duplicate_groups,
        temperature=needs.settings.temperature,
        other_groups=needs.other_groups,
    )


def _kept(config: RunConfig) -> tuple[float, float]:
    """Weights of the distillation and of the distance of the weights."""
    on_images_alone = isinstance(config.encoder, ClipConfig) and config.texts is None
    keep, usual = config.objective.keep, _KEPT if on_images_alone else KeepConfig(distillation=0, weight_distance=0)
    chosen = [
        default if own is None else own
        for own, default in (
            (keep.distillation, usual.distillation),
            (keep.weight_distance, usual.weight_distance),
        )
    ]
    return float(chosen[0] or 0), float(chosen[1] or 0)


def _words(
    settings: TextsConfig, texts: CatalogTexts, embedded: Tensor | None, *, encoder: Encoder, config: RunConfig
) -> Words:
    assert isinstance(encoder, AlignedEncoder)  # the configuration has seen to it
    by_itself: Literal["softmax", "sigmoid"] = "softmax" if encoder.logit_bias is None else "sigmoid"
    loss = by_itself if settings.loss == "auto" else settings.loss
    encoder.logit_scale.requires_grad_(settings.learn_scale)
    if encoder.logit_bias is not None:
        encoder.logit_bias.requires_grad_(settings.learn_scale and loss == "sigmoid")
    return Words(
        texts=texts,
        embedded=embedded,
        loss=loss,
        seed=config.seed,
        micro_batch_size=config.data.micro_batch_size,
    )
