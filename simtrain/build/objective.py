"""From configuration to the objective around an encoder."""

from typing import assert_never

import torch

from simtrain.config import (
    MetricLearningConfig,
    ObjectiveConfig,
    RunConfig,
    SimCLRConfig,
    TripletConfig,
)
from simtrain.config.objective import ProjectionHeadConfig
from simtrain.encoders.base import Encoder
from simtrain.errors import ConfigError
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.losses.metric_learning import named_loss, triplet_loss
from simtrain.modules.base import RetrievalModule, TrainingSettings
from simtrain.modules.heads import projection_head
from simtrain.modules.metric_learning import MetricLearningModule
from simtrain.modules.simclr import SimCLRModule
from simtrain.training.optim import OptimizerSettings


def build_module(
    config: RunConfig, *, encoder: Encoder, groups: int, validation: RetrievalTask | None
) -> RetrievalModule:
    """The objective around an encoder.

    Args:
        config: Which objective.
        encoder: What is fine-tuned.
        groups: Number of training groups, for losses with proxies.
        validation: What each epoch is scored on, or None.

    Raises:
        ConfigError: for a loss that does not exist, or epochs for new layers only where there are none.
    """
    settings = TrainingSettings(
        optimizer=OptimizerSettings(**config.optimizer.model_dump(exclude={"gradient_clip_norm"})),
        head_only_epochs=config.trainer.head_only_epochs,
        freeze_batch_norm=config.trainer.freeze_batch_norm,
    )
    module = _objective(config.objective, encoder=encoder, groups=groups, settings=settings, task=validation)
    if settings.head_only_epochs and not module.new_parameters():
        hint = "set it to 0, or add an objective.projection_head or encoder.embedding_size"
        raise ConfigError(f"trainer.head_only_epochs: got {settings.head_only_epochs}, but no layer is new; {hint}")
    return module


def _objective(
    objective: ObjectiveConfig, *, encoder: Encoder, groups: int, settings: TrainingSettings, task: RetrievalTask | None
) -> RetrievalModule:
    match objective:
        case SimCLRConfig():
            return SimCLRModule(
                temperature=objective.temperature,
                encoder=encoder,
                head=_head(objective.projection_head, encoder=encoder),
                settings=settings,
                validation=task,
            )
        case TripletConfig():
            loss = triplet_loss(margin=objective.margin, distance=objective.distance, miner=objective.miner)
            head = None
        case MetricLearningConfig():
            mlp, miner = objective.projection_head, objective.miner
            head = _head(mlp, encoder=encoder)
            loss = named_loss(
                loss=objective.loss.name,
                loss_parameters=objective.loss.parameters,
                miner=miner.name if miner is not None else None,
                miner_parameters=miner.parameters if miner is not None else {},
                classes=groups,
                embedding_size=mlp.output_size if mlp is not None else encoder.embedding_size,
            )
        case _:
            assert_never(objective)
    return MetricLearningModule(mined_loss=loss, encoder=encoder, head=head, settings=settings, validation=task)


def _head(config: ProjectionHeadConfig | None, *, encoder: Encoder) -> torch.nn.Module | None:
    if config is None:
        return None
    return projection_head(
        input_size=encoder.embedding_size, hidden_size=config.hidden_size, output_size=config.output_size
    )
