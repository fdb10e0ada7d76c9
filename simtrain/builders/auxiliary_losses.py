"""Builder of auxiliary losses: image-text, relational distillation, and regularisation towards the initial weights."""

from typing import Literal

from torch import Tensor

from simtrain.builders.training_inputs import TrainingInputs
from simtrain.config import ClipConfig, KeepConfig, RelationNeeds, RunConfig, TextsConfig
from simtrain.data.texts import CatalogTexts
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import AlignedEncoder
from simtrain.modules.global_batch import AuxiliaryLosses
from simtrain.modules.image_text_pairs import ImageTextPairs
from simtrain.modules.relational_teacher import RelationalTeacher
from simtrain.modules.start_regulariser import StartRegulariser

_CLIP_REGULARISATION = KeepConfig(distillation=1.0, weight_distance=1e5)
"""Regularisation of a `clip` encoder that is trained on images alone."""


def needs_initial_encoder(config: RunConfig) -> bool:
    """Whether the run regularises towards its initial encoder."""
    return any(_regularisation_weights(config))


def build_auxiliary_losses(config: RunConfig, *, encoder: Encoder, inputs: TrainingInputs) -> AuxiliaryLosses:
    """Auxiliary losses of a run; sets whether the encoder's scale learns."""
    distillation, distance = _regularisation_weights(config)
    regulariser = None
    if inputs.start is not None and (distillation or distance):
        regulariser = StartRegulariser(inputs.start, distillation=distillation, weight_distance=distance)
    image_text = None
    if config.texts is not None and inputs.texts is not None:
        image_text = _image_text(config.texts, inputs.texts, inputs.text_embeddings, encoder=encoder, config=config)
    needs = config.objective.needs
    return AuxiliaryLosses(
        image_text=image_text,
        image_text_weight=needs.texts_weight,
        regulariser=regulariser,
        teacher=_teacher(needs.relations, inputs),
        teacher_weight=needs.relations.weight if needs.relations is not None else 0.0,
        levels=inputs.levels,
        validation_texts=inputs.validation_texts,
    )


def _teacher(needs: RelationNeeds | None, inputs: TrainingInputs) -> RelationalTeacher | None:
    if needs is None or inputs.teacher is None:
        return None
    return RelationalTeacher(
        inputs.teacher,
        duplicate_groups=inputs.duplicate_groups,
        temperature=needs.settings.temperature,
        other_groups=needs.other_groups,
    )


def _regularisation_weights(config: RunConfig) -> tuple[float, float]:
    """Weights of the distillation and of the distance of the weights."""
    on_images_alone = isinstance(config.encoder, ClipConfig) and config.texts is None
    keep, usual = (
        config.objective.keep,
        _CLIP_REGULARISATION if on_images_alone else KeepConfig(distillation=0, weight_distance=0),
    )
    chosen = [
        default if own is None else own
        for own, default in (
            (keep.distillation, usual.distillation),
            (keep.weight_distance, usual.weight_distance),
        )
    ]
    return float(chosen[0] or 0), float(chosen[1] or 0)


def _image_text(
    settings: TextsConfig, texts: CatalogTexts, embedded: Tensor | None, *, encoder: Encoder, config: RunConfig
) -> ImageTextPairs:
    assert isinstance(encoder, AlignedEncoder)  # the configuration has seen to it
    by_itself: Literal["softmax", "sigmoid"] = "softmax" if encoder.logit_bias is None else "sigmoid"
    loss = by_itself if settings.loss == "auto" else settings.loss
    encoder.logit_scale.requires_grad_(settings.learn_scale)
    if encoder.logit_bias is not None:
        encoder.logit_bias.requires_grad_(settings.learn_scale and loss == "sigmoid")
    return ImageTextPairs(
        texts=texts,
        embedded=embedded,
        loss=loss,
        seed=config.seed,
        micro_batch_size=config.data.micro_batch_size,
    )
