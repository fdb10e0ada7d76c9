"""Builder of the training objective around an encoder."""

from dataclasses import dataclass
from typing import assert_never

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from simtrain.builders.auxiliary_losses import build_auxiliary_losses
from simtrain.builders.devices import embedding_precision
from simtrain.builders.own_objective import build_own_loss
from simtrain.builders.training_inputs import TrainingInputs
from simtrain.config import RunConfig
from simtrain.config.objective import (
    DistillConfig,
    ImageTextConfig,
    MetricLearningConfig,
    ObjectiveConfig,
    PythonObjectiveConfig,
    SimCLRConfig,
    TripletConfig,
)
from simtrain.config.objective_parts import FalseNegativesConfig, MemoryConfig, ProjectionHeadConfig
from simtrain.encoders.base import Encoder
from simtrain.encoders.module_encoder import ModuleEncoder
from simtrain.errors import ConfigError, error_path
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.false_negatives import FalseNegatives
from simtrain.losses.memory import CrossBatchMemory
from simtrain.losses.metric_learning import LibraryClass, MinedLoss, named_loss, triplet_loss
from simtrain.modules.base import RetrievalModule
from simtrain.modules.distill import DistillModule
from simtrain.modules.global_batch import AuxiliaryLosses, TrainingSettings
from simtrain.modules.heads import projection_head
from simtrain.modules.image_text import ImageTextModule
from simtrain.modules.metric_learning import MetricLearningModule, MetricLearningSettings
from simtrain.modules.own_objective import OwnObjectiveModule, OwnObjectiveSettings
from simtrain.modules.simclr import SimCLRModule, SimCLRSettings
from simtrain.training.optim import OptimizerSettings
from simtrain.training.ranks import rank_count
from simtrain.training.setting_names import SettingNames

SETTING_NAMES = SettingNames(
    learning_rate="optimizer.learning_rate",
    precision="trainer.precision",
    temperature="objective.temperature",
    margin="objective.margin",
    miner="objective.miner",
    stop_on_collapse="trainer.stop_on_collapse",
)
"""Keys of a run's configuration, for messages of a running training."""


def build_module(
    config: RunConfig, *, encoder: Encoder, inputs: TrainingInputs, validation: RetrievalTask | None
) -> RetrievalModule:
    """The objective around an encoder.

    Args:
        config: Configuration of the run.
        encoder: Encoder to fine-tune.
        inputs: Inputs of the objective besides images.
        validation: Retrieval task of validation, or None.

    Raises:
        ConfigError: for a loss that does not exist, epochs for new layers only where there are none, or settings that
            exclude each other on this network.
    """
    trainer = config.trainer
    _check_batch_norm(config, encoder)
    _check_recomputation(config, encoder)
    if isinstance(encoder, ModuleEncoder):
        with error_path("encoder", names={"network": "target"}):
            encoder.check_learns()
    settings = TrainingSettings(
        optimizer=OptimizerSettings(**config.optimizer.model_dump(exclude={"gradient_clip_norm"})),
        head_only_epochs=trainer.head_only_epochs,
        freeze_batch_norm=trainer.freeze_batch_norm,
        freeze=[*trainer.freeze, *(_pretrained_names(encoder) if trainer.freeze_encoder else [])],
        ema_decay=trainer.ema_decay,
        micro_batch_size=config.data.micro_batch_size,
        seed=config.seed,
        monitor=config.evaluation.monitor,
        worst_queries=config.tracking.worst_queries,
        embedding_precision=embedding_precision(config, encoder),
        names=SETTING_NAMES,
    )
    auxiliary = build_auxiliary_losses(config, encoder=encoder, inputs=inputs)
    around = _Around(encoder=encoder, inputs=inputs, settings=settings, validation=validation, auxiliary=auxiliary)
    with error_path("", names={"freeze": "trainer.freeze"}):
        module = _objective(config.objective, around)
    if trainer.activation_checkpointing:
        with error_path("trainer"):
            encoder.checkpoint_activations()
    if trainer.compile:
        encoder.compile_network()
    if settings.head_only_epochs and not module.new_parameters():
        hint = "set it to 0, or add an objective.projection_head or encoder.embedding_size"
        raise ConfigError(f"trainer.head_only_epochs: got {settings.head_only_epochs}, but no layer is new; {hint}")
    return module


def _pretrained_names(encoder: Encoder) -> list[str]:
    """Names of the parameters of the encoder below its last layer."""
    pretrained = {id(parameter) for parameter in encoder.pretrained_encoder().parameters()}
    return [name for name, parameter in encoder.named_parameters() if id(parameter) in pretrained]


def needs_reference(config: RunConfig) -> bool:
    """Whether the loss compares training images under the untouched encoder."""
    return config.objective.needs.reference


@dataclass(frozen=True, kw_only=True)
class _Around:
    """What every module is built around, whatever its loss."""

    encoder: Encoder
    inputs: TrainingInputs
    settings: TrainingSettings
    validation: RetrievalTask | None
    auxiliary: AuxiliaryLosses


def _objective(objective: ObjectiveConfig, around: _Around) -> RetrievalModule:
    match objective:
        case SimCLRConfig():
            return _simclr(objective, around)
        case TripletConfig():
            memory = _memory(objective.memory, size=around.encoder.embedding_size)
            loss = triplet_loss(
                margin=objective.margin, distance=objective.distance, miner=objective.miner, memory=memory
            )
            return _metric_learning(loss, objective.false_negatives, None, around)
        case MetricLearningConfig():
            head = _head(objective.projection_head, encoder=around.encoder)  # draws its weights before the loss does
            with error_path("objective"):
                loss = _named_loss(objective, around)
            return _metric_learning(loss, objective.false_negatives, head, around)
        case DistillConfig():
            return _distill(objective, around)
        case ImageTextConfig():
            return _image_text(around)
        case PythonObjectiveConfig():
            return _own(objective, around)
        case _:
            assert_never(objective)


def _simclr(objective: SimCLRConfig, around: _Around) -> SimCLRModule:
    return SimCLRModule(
        objective=SimCLRSettings(
            temperature=objective.temperature,
            decoupled=objective.decoupled,
            label_weight=objective.label_weight,
            false_negatives=_false_negatives(objective.false_negatives, around.inputs),
        ),
        encoder=around.encoder,
        head=_head(objective.projection_head, encoder=around.encoder),
        settings=around.settings,
        validation=around.validation,
        auxiliary=around.auxiliary,
    )


def _named_loss(objective: MetricLearningConfig, around: _Around) -> MinedLoss:
    head, miner = objective.projection_head, objective.miner
    size = head.output_size if head is not None else around.encoder.embedding_size
    return named_loss(
        loss=LibraryClass(name=objective.loss.name, parameters=objective.loss.parameters),
        miner=LibraryClass(name=miner.name, parameters=miner.parameters) if miner is not None else None,
        classes=around.inputs.groups,
        embedding_size=size,
        memory=_memory(objective.memory, size=size),
    )


def _metric_learning(
    loss: MinedLoss, pairs: FalseNegativesConfig, head: torch.nn.Module | None, around: _Around
) -> MetricLearningModule:
    return MetricLearningModule(
        objective=MetricLearningSettings(mined_loss=loss, false_negatives=_false_negatives(pairs, around.inputs)),
        encoder=around.encoder,
        head=head,
        settings=around.settings,
        validation=around.validation,
        auxiliary=around.auxiliary,
    )


def _distill(objective: DistillConfig, around: _Around) -> DistillModule:
    assert around.auxiliary.teacher is not None
    return DistillModule(
        teacher=around.auxiliary.teacher,
        label_weight=objective.label_weight,
        encoder=around.encoder,
        settings=around.settings,
        validation=around.validation,
        auxiliary=around.auxiliary,
    )


def _image_text(around: _Around) -> ImageTextModule:
    assert around.auxiliary.image_text is not None
    return ImageTextModule(
        image_text=around.auxiliary.image_text,
        encoder=around.encoder,
        settings=around.settings,
        validation=around.validation,
        auxiliary=around.auxiliary,
    )


def _own(objective: PythonObjectiveConfig, around: _Around) -> OwnObjectiveModule:
    head, needs = _head(objective.projection_head, encoder=around.encoder), objective.needs
    size = around.encoder.embedding_size if objective.projection_head is None else objective.projection_head.output_size
    with error_path("objective"):
        loss = build_own_loss(objective, needs, classes=around.inputs.groups, size=size)
    return OwnObjectiveModule(
        objective=OwnObjectiveSettings(
            own_loss=loss, labelled=needs.groups is not None or needs.label_column is not None
        ),
        encoder=around.encoder,
        head=head,
        settings=around.settings,
        validation=around.validation,
        auxiliary=around.auxiliary,
    )


def _false_negatives(config: FalseNegativesConfig, inputs: TrainingInputs) -> FalseNegatives | None:
    groups = inputs.duplicate_groups if config.duplicate_groups and bool((inputs.duplicate_groups >= 0).any()) else None
    if groups is None and config.max_similarity is None:
        return None
    return FalseNegatives(duplicate_groups=groups, reference=inputs.reference, max_similarity=config.max_similarity)


def _memory(config: MemoryConfig | None, *, size: int) -> CrossBatchMemory | None:
    if config is None:
        return None
    return CrossBatchMemory(size=config.size, embedding_size=size, start_step=config.start_step)


def _check_batch_norm(config: RunConfig, encoder: Encoder) -> None:
    if rank_count() > 1 and not config.trainer.freeze_batch_norm and _has_batch_norm(encoder):
        raise ConfigError(
            f"trainer.freeze_batch_norm: false, but each of {rank_count()} devices would learn statistics of its own "
            "share of the batch; set it to true, or trainer.devices=1"
        )


def _has_batch_norm(encoder: Encoder) -> bool:
    return any(isinstance(part, _BatchNorm) for part in encoder.modules())


def _check_recomputation(config: RunConfig, encoder: Encoder) -> None:
    """What is computed twice has to come out alike: BatchNorm would count twice, compiled dropout draws anew."""
    twice = {
        "data.micro_batch_size": config.data.micro_batch_size is not None,
        "trainer.activation_checkpointing": config.trainer.activation_checkpointing,
    }
    for name in (name for name, wanted in twice.items() if wanted):
        if not config.trainer.freeze_batch_norm and _has_batch_norm(encoder):
            raise ConfigError(
                f"{name}: passes images through the network twice, and BatchNorm's statistics would count twice; "
                "set trainer.freeze_batch_norm=true"
            )
        if config.trainer.compile and any(_drops(part) for part in encoder.modules()):
            raise ConfigError(
                f"{name}: passes images through the network twice, and compiled dropout would differ; "
                "set trainer.compile=false"
            )


def _drops(part: torch.nn.Module) -> bool:
    share = getattr(part, "p", None) if isinstance(part, _DropoutNd) else getattr(part, "drop_prob", None)
    return bool(share)


def _head(config: ProjectionHeadConfig | None, *, encoder: Encoder) -> torch.nn.Module | None:
    if config is None:
        return None
    return projection_head(
        input_size=encoder.embedding_size, hidden_size=config.hidden_size, output_size=config.output_size
    )
