"""From configuration to objects. The only package that knows both."""

from simtrain.build.conflicts import conflict_warnings
from simtrain.build.data import build_data, build_transform, build_validation
from simtrain.build.encoder import build_encoder, plain_config
from simtrain.build.facts import TrainingFacts
from simtrain.build.kept import empty_encoder, keep_encoder, kept_config, start_encoder
from simtrain.build.objective import build_module, wants_reference
from simtrain.build.pretrained import FoundWeights, found_weights, normalisation_of, settled_encoder
from simtrain.build.side_terms import wants_start
from simtrain.build.texts import build_text_validation, build_texts

__all__ = [
    "FoundWeights",
    "TrainingFacts",
    "build_data",
    "build_encoder",
    "build_module",
    "build_text_validation",
    "build_texts",
    "build_transform",
    "build_validation",
    "conflict_warnings",
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
]
