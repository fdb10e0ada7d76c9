"""The YAML schema: every default and bound of simtrain lives here. Nothing in this package imports torch."""

from simtrain.config.augmentation import AugmentationConfig, TransformConfig
from simtrain.config.compare import CompareConfig, PicturesConfig, WhiteningConfig, quick_config
from simtrain.config.distillation import DistillationConfig, MixedDistillationConfig
from simtrain.config.encoder import (
    ClipConfig,
    EncoderConfig,
    EncoderWhiteningConfig,
    HistogramConfig,
    LoraConfig,
    PixelsConfig,
    PythonEncoderConfig,
    ResNetConfig,
    TimmConfig,
    TwoTowersConfig,
)
from simtrain.config.evaluation import EvaluationConfig, ExportConfig, ThresholdsConfig
from simtrain.config.loading import (
    UNUSED_OBJECTIVE,
    apply_overrides,
    differences,
    dump_yaml,
    is_config_file,
    load_compare_config,
    load_prepare_config,
    load_run_config,
    load_untrained_config,
    parse_encoder,
    parse_run_config,
)
from simtrain.config.named_code import NamedCode
from simtrain.config.objective import ObjectiveConfig
from simtrain.config.objective_needs import GroupNeeds, ObjectiveNeeds, RelationNeeds
from simtrain.config.prepare import (
    ColumnsConfig,
    InspectionConfig,
    NearDuplicatesConfig,
    PrepareConfig,
    SplitConfig,
    StoreConfig,
    SyntheticConfig,
)
from simtrain.config.regularisation import KeepConfig
from simtrain.config.relevance import KindConfig, QrelsConfig, RelevanceSetting, columns_of
from simtrain.config.run import RunConfig
from simtrain.config.texts import MixedTextsConfig, TextsConfig
from simtrain.config.tracking import TrackingConfig, WandbConfig
from simtrain.config.training import DataConfig, OptimizerConfig, TrainerConfig
from simtrain.config.yaml_text import read_yaml

__all__ = [
    "UNUSED_OBJECTIVE",
    "AugmentationConfig",
    "ClipConfig",
    "ColumnsConfig",
    "CompareConfig",
    "DataConfig",
    "DistillationConfig",
    "EncoderConfig",
    "EncoderWhiteningConfig",
    "EvaluationConfig",
    "ExportConfig",
    "GroupNeeds",
    "HistogramConfig",
    "InspectionConfig",
    "KeepConfig",
    "KindConfig",
    "LoraConfig",
    "MixedDistillationConfig",
    "MixedTextsConfig",
    "NamedCode",
    "NearDuplicatesConfig",
    "ObjectiveConfig",
    "ObjectiveNeeds",
    "OptimizerConfig",
    "PicturesConfig",
    "PixelsConfig",
    "PrepareConfig",
    "PythonEncoderConfig",
    "QrelsConfig",
    "RelationNeeds",
    "RelevanceSetting",
    "ResNetConfig",
    "RunConfig",
    "SplitConfig",
    "StoreConfig",
    "SyntheticConfig",
    "TextsConfig",
    "ThresholdsConfig",
    "TimmConfig",
    "TrackingConfig",
    "TrainerConfig",
    "TransformConfig",
    "TwoTowersConfig",
    "WandbConfig",
    "WhiteningConfig",
    "apply_overrides",
    "columns_of",
    "differences",
    "dump_yaml",
    "is_config_file",
    "load_compare_config",
    "load_prepare_config",
    "load_run_config",
    "load_untrained_config",
    "parse_encoder",
    "parse_run_config",
    "quick_config",
    "read_yaml",
]
