"""Builders from configuration to objects. The only package that knows both."""

from simtrain.builders.auxiliary_losses import wants_start
from simtrain.builders.data import build_batches, build_data, build_transform, build_validation
from simtrain.builders.encoder import build_encoder, plain_config, whitening_of
from simtrain.builders.objective import build_module, wants_reference
from simtrain.builders.relevance import build_relevance
from simtrain.builders.saved_encoder import empty_encoder, keep_encoder, kept_config, start_encoder
from simtrain.builders.texts import build_text_validation, build_texts
from simtrain.builders.training_inputs import TrainingFacts
from simtrain.builders.weights_file import FoundWeights, found_weights, normalisation_of, settled_encoder

__all__ = [
    "FoundWeights",
    "TrainingFacts",
    "build_batches",
    "build_data",
    "build_encoder",
    "build_module",
    "build_relevance",
    "build_text_validation",
    "build_texts",
    "build_transform",
    "build_validation",
    "empty_encoder",
    "found_weights",
    "keep_encoder",
    "kept_config",
    "normalisation_of",
    "plain_config",
    "settled_encoder",
    "start_encoder",
    "wants_reference",
    "wants_start",
    "whitening_of",
]
