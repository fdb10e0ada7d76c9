"""Builders from configuration to objects. The only package that knows both."""

from simtrain.builders.auxiliary_losses import needs_initial_encoder
from simtrain.builders.data import build_batches, build_data, build_transform, build_validation
from simtrain.builders.encoder import build_encoder, plain_config, whitening_of
from simtrain.builders.levels import build_levels
from simtrain.builders.objective import build_module, needs_reference
from simtrain.builders.relevance import build_relevance, qrels_hashes, unknown_names
from simtrain.builders.saved_encoder import (
    encoder_without_weights,
    load_initial_encoder,
    save_initial_encoder,
    saved_encoder_config,
)
from simtrain.builders.texts import build_text_validation, build_texts
from simtrain.builders.training_inputs import TrainingInputs
from simtrain.builders.weights_file import WeightsFile, inspect_weights_file, normalisation_of, with_normalisation

__all__ = [
    "TrainingInputs",
    "WeightsFile",
    "build_batches",
    "build_data",
    "build_encoder",
    "build_levels",
    "build_module",
    "build_relevance",
    "build_text_validation",
    "build_texts",
    "build_transform",
    "build_validation",
    "encoder_without_weights",
    "inspect_weights_file",
    "load_initial_encoder",
    "needs_initial_encoder",
    "needs_reference",
    "normalisation_of",
    "plain_config",
    "qrels_hashes",
    "save_initial_encoder",
    "saved_encoder_config",
    "unknown_names",
    "whitening_of",
    "with_normalisation",
]
