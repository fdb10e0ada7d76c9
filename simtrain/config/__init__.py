"""The YAML schema: every default and bound of simtrain lives here. Nothing in this package imports torch."""

from simtrain.config.encoder import (
    EncoderConfig,
    HistogramConfig,
    PixelsConfig,
    ResNetConfig,
    TimmConfig,
)
from simtrain.config.loading import (
    apply_overrides,
    differences,
    dump_yaml,
    load_prepare_config,
    load_run_config,
    nearest,
    parse_run_config,
)
from simtrain.config.objective import (
    ComponentConfig,
    MetricLearningConfig,
    ObjectiveConfig,
    SimCLRConfig,
    TripletConfig,
)
from simtrain.config.prepare import (
    ColumnsConfig,
    InspectionConfig,
    NearDuplicatesConfig,
    PrepareConfig,
    SplitConfig,
    StoreConfig,
    SyntheticConfig,
)
from simtrain.config.run import (
    AugmentationConfig,
    DataConfig,
    EvaluationConfig,
    ExportConfig,
    OptimizerConfig,
    RunConfig,
    TrainerConfig,
    TransformConfig,
)

__all__ = [
    "AugmentationConfig",
    "ColumnsConfig",
    "ComponentConfig",
    "DataConfig",
    "EncoderConfig",
    "EvaluationConfig",
    "ExportConfig",
    "HistogramConfig",
    "InspectionConfig",
    "MetricLearningConfig",
    "NearDuplicatesConfig",
    "ObjectiveConfig",
    "OptimizerConfig",
    "PixelsConfig",
    "PrepareConfig",
    "ResNetConfig",
    "RunConfig",
    "SimCLRConfig",
    "SplitConfig",
    "StoreConfig",
    "SyntheticConfig",
    "TimmConfig",
    "TrainerConfig",
    "TransformConfig",
    "TripletConfig",
    "apply_overrides",
    "differences",
    "dump_yaml",
    "load_prepare_config",
    "load_run_config",
    "nearest",
    "parse_run_config",
]
