"""From configuration to objects. The only module that knows both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from simtrain.catalog.table import Catalog
from simtrain.config import (
    AugmentationConfig,
    EncoderConfig,
    HistogramConfig,
    MetricLearningConfig,
    ObjectiveConfig,
    PixelsConfig,
    ResNetConfig,
    RunConfig,
    SimCLRConfig,
    TimmConfig,
    TripletConfig,
)
from simtrain.config.objective import ProjectionHeadConfig
from simtrain.data.datamodule import CatalogData
from simtrain.data.datasets import CatalogImages, TrainingViews, worker_count
from simtrain.data.samplers import EpochBatches, EpochPlan, grouped_plan, paired_plan, shuffled_plan
from simtrain.data.transforms import ViewTransform, custom_transform, preset_transform
from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import HistogramEncoder, PixelsEncoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.weights import load_weights, locate, names_a_file
from simtrain.errors import CatalogError, ConfigError, SimtrainError
from simtrain.evaluation.protocol import RetrievalTask, filled_columns, retrieval_task
from simtrain.losses.metric_learning import named_loss, triplet_loss
from simtrain.modules.base import RetrievalModule, TrainingSettings
from simtrain.modules.heads import projection_head
from simtrain.modules.metric_learning import MetricLearningModule
from simtrain.modules.simclr import SimCLRModule
from simtrain.training.optim import OptimizerSettings


def build_encoder(config: EncoderConfig, *, load: bool) -> Encoder:
    """The encoder, with its pretrained weights, or with random ones where a checkpoint will follow.

    Args:
        config: Which encoder.
        load: Whether `weights` are fetched.

    Raises:
        ConfigError: for a model that does not exist.
        CheckpointError: for weights that cannot be had or do not fit.
    """
    match config:
        case ResNetConfig():
            return _resnet(config, load=load)
        case TimmConfig():
            return _timm(config, load=load)
        case PixelsConfig():
            return PixelsEncoder(image_size=config.image_size, resize=config.resize)
        case HistogramConfig():
            return HistogramEncoder(
                space=config.space, bins=config.bins, image_size=config.image_size, resize=config.resize
            )
        case _:
            assert_never(config)


def empty_encoder(config: Mapping[str, Any], preprocessing: Preprocessing) -> Encoder:
    """The encoder that a bundle's manifest describes, for weights that the bundle holds."""
    schema: TypeAdapter[EncoderConfig] = TypeAdapter(EncoderConfig)
    encoder = build_encoder(schema.validate_python(config), load=False)
    encoder.preprocessing = preprocessing
    return encoder


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


def build_validation(config: RunConfig, catalog: Catalog) -> RetrievalTask | None:
    """What each epoch is scored on; None only where the catalogue knows neither products nor labels."""
    if not filled_columns(catalog.rows) and config.relevance_columns == ["product"]:
        return None
    return retrieval_task(
        catalog, split="val", gallery_splits=config.evaluation.gallery_splits, relevance=config.relevance_columns
    )


def build_data(
    config: RunConfig, catalog: Catalog, *, preprocessing: Preprocessing, validation: RetrievalTask | None
) -> tuple[CatalogData, int]:
    """The loaders, and the number of training groups (0 where the objective has none).

    Raises:
        CatalogError: if the catalogue cannot fill the batches.
    """
    paths = [catalog.root / str(path) for path in catalog.rows["path"]]
    plan, labels, views = _plan(config, catalog)
    training = TrainingViews(
        paths=paths,
        labels=labels,
        views=views,
        preprocessing=preprocessing,
        transform=build_transform(config.augmentation, image_size=preprocessing.image_size),
        seed=config.seed,
    )
    images = None
    if validation is not None:
        images = CatalogImages(paths=[paths[row] for row in validation.rows], preprocessing=preprocessing)
    data = CatalogData(
        training=training,
        batches=EpochBatches(plan=plan),
        validation=images,
        evaluation_batch_size=config.evaluation.batch_size,
        workers=worker_count(config.data.workers),
        pin_memory=config.trainer.accelerator != "cpu" and torch.cuda.is_available(),
    )
    return data, int(labels.max(initial=-1)) + 1


def build_transform(config: AugmentationConfig, *, image_size: int) -> ViewTransform:
    """Training views of image_size × image_size."""
    if config.transforms is None:
        return preset_transform(config.preset, image_size=image_size)
    return custom_transform([(step.name, step.parameters) for step in config.transforms], image_size=image_size)


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


def _plan(config: RunConfig, catalog: Catalog) -> tuple[EpochPlan, NDArray[np.int64], int]:
    """Batches of an epoch, the label of every catalogue row, and the views of a sample."""
    objective, rows, size = config.objective, catalog.rows_of(["train"]), config.data.batch_size
    if isinstance(objective, SimCLRConfig) and objective.positive == "augmentation":
        if len(rows) < size:
            raise CatalogError(
                f"{catalog.folder}: {len(rows)} training images; "
                + (f"set data.batch_size={len(rows)} or less" if len(rows) > 1 else f"{objective.kind} needs 2 or more")
            )
        return shuffled_plan(rows, batch_size=size, seed=config.seed), np.full(len(catalog.rows), -1), 2
    column = "product" if isinstance(objective, SimCLRConfig) else objective.positive
    groups, labels = _training_groups(catalog, column, needed_by=objective.kind, single=objective.single_image_groups)
    within = _categories(catalog, groups, config.data.limit_batch_to)
    images = 1 if isinstance(objective, SimCLRConfig) else objective.images_per_group
    if len(groups) < 2:
        found = f"{len(groups)} training groups of '{column}' with 2 images or more"
        raise CatalogError(f"{catalog.folder}: {found}; {objective.kind} needs 2 groups")
    if len(groups) < size // images:
        raise CatalogError(
            f"{catalog.folder}: {len(groups)} training groups of '{column}'; a batch of {size} needs {size // images}: "
            f"set data.batch_size={len(groups) * images} or less"
            + ("" if isinstance(objective, SimCLRConfig) else ", or a larger objective.images_per_group")
        )
    if isinstance(objective, SimCLRConfig):
        return paired_plan(groups, pairs_per_batch=size, within=within, seed=config.seed), labels, 2
    plan = grouped_plan(
        groups, groups_per_batch=size // images, images_per_group=images, within=within, seed=config.seed
    )
    return plan, labels, 1


def _training_groups(
    catalog: Catalog, column: str, *, needed_by: str, single: str
) -> tuple[dict[int, NDArray[np.int64]], NDArray[np.int64]]:
    """Training rows by group, groups numbered 0, 1, 2 …, and each row's number (-1: in no group)."""
    codes, rows = catalog.groups([column]), catalog.rows_of(["train"])
    rows = rows[codes[rows] >= 0]
    if single == "error":
        _refuse_single_images(catalog, column, codes, needed_by=needed_by)
    if len(rows) == 0:
        others = [name for name in filled_columns(catalog.rows.iloc[catalog.rows_of(["train"])]) if name != column]
        instead = "augmentation" if needed_by == "simclr" else others[0] if others else None
        hint = f"; set objective.positive={instead}" if instead is not None else ""
        raise CatalogError(f"{catalog.folder}: '{column}' is empty in split 'train', and {needed_by} needs it{hint}")
    numbers, counts = np.unique(codes[rows], return_counts=True)
    kept = numbers[counts >= 2]
    labels = np.full(len(codes), -1, dtype=np.int64)
    labels[rows] = np.where(np.isin(codes[rows], kept), np.searchsorted(kept, codes[rows]), -1)
    return {group: rows[labels[rows] == group] for group in range(len(kept))}, labels


def _refuse_single_images(catalog: Catalog, column: str, codes: NDArray[np.int64], *, needed_by: str) -> None:
    """A group with one image, in the catalogue or in its training split, has no positive pair to learn from."""
    train = catalog.rows_of(["train"])
    everywhere = np.arange(len(codes))
    for rows, place in ((everywhere, ""), (train, " in split 'train'")):
        numbers, counts = np.unique(codes[rows][codes[rows] >= 0], return_counts=True)
        lone = numbers[counts < 2]
        if len(lone):
            first = catalog.rows[column].iloc[int(everywhere[codes == lone[0]][0])]
            more = f" (and {len(lone) - 1} more like it)" if len(lone) > 1 else ""
            kind = {"label": "class"}.get(column, column)
            raise CatalogError(
                f"{catalog.folder}: {kind} '{first}' has 1 image{place}{more}; {needed_by} needs 2: "
                "add images, or set objective.single_image_groups=drop"
            )


def _categories(catalog: Catalog, groups: Mapping[int, NDArray[np.int64]], column: str | None) -> dict[int, int] | None:
    """The category of each group: its first image's."""
    if column is None:
        return None
    codes = catalog.groups([column])
    return {group: int(codes[rows[0]]) for group, rows in groups.items()}


def _head(config: ProjectionHeadConfig | None, *, encoder: Encoder) -> torch.nn.Module | None:
    if config is None:
        return None
    return projection_head(
        input_size=encoder.embedding_size, hidden_size=config.hidden_size, output_size=config.output_size
    )


def _resnet(config: ResNetConfig, *, load: bool) -> Encoder:
    from simtrain.encoders.resnet import ResNetEncoder, resnet_network, resnet_preprocessing

    path = _weights_file(config, load=load)
    by_name = config.weights if load and path is None and config.weights != "none" else None
    network, feature_size = resnet_network(config.model, weights=by_name)
    if path is not None:
        load_weights(network, path, match=config.weights_match)
    return ResNetEncoder(
        network=network,
        feature_size=feature_size,
        embedding_size=config.embedding_size,
        preprocessing=resnet_preprocessing(image_size=config.image_size, resize=config.resize),
    )


def _timm(config: TimmConfig, *, load: bool) -> Encoder:
    try:
        from simtrain.encoders.timm import TimmEncoder, timm_network, timm_preprocessing
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise SimtrainError("encoder.kind: 'timm' needs the extra: pip install 'simtrain[timm]'") from None

    path = _weights_file(config, load=load)
    if not names_a_file(config.weights) and config.weights not in ("hub", "none"):
        raise ConfigError(
            f"encoder.weights: '{config.weights}' is not a file; allowed: hub, none, a file, package:MODULE/FILE"
        )
    network = timm_network(config.model, from_hub=load and config.weights == "hub", image_size=config.image_size)
    if path is not None:
        load_weights(network, path, match=config.weights_match)
    return TimmEncoder(
        network=network,
        embedding_size=config.embedding_size,
        preprocessing=timm_preprocessing(network, image_size=config.image_size, resize=config.resize),
    )


def _weights_file(config: ResNetConfig | TimmConfig, *, load: bool) -> Path | None:
    return locate(config.weights) if load and names_a_file(config.weights) else None
