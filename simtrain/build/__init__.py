"""From configuration to objects. The only package that knows both."""

from simtrain.build.conflicts import conflict_warnings
from simtrain.build.data import build_data, build_transform, build_validation
from simtrain.build.encoder import build_encoder, empty_encoder, keep_encoder, kept_config, plain_config
from simtrain.build.objective import TrainingFacts, build_module, wants_reference

__all__ = [
    "TrainingFacts",
    "build_data",
    "build_encoder",
    "build_module",
    "build_transform",
    "build_validation",
    "conflict_warnings",
    "empty_encoder",
    "keep_encoder",
    "kept_config",
    "plain_config",
    "wants_reference",
]
