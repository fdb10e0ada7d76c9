"""Builders of the data loaders."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from shlex import quote
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from simtrain.builders.devices import run_device
from simtrain.catalog.store.reader import ImageReader
from simtrain.catalog.table import Catalog
from simtrain.config import AugmentationConfig, GroupNeeds, RunConfig
from simtrain.data.datamodule import CatalogData, LoaderSettings
from simtrain.data.datasets import CatalogImages, TrainingPictures, TrainingViews, worker_count
from simtrain.data.planned_batches import EpochPlan
from simtrain.data.presets import PRESETS
from simtrain.data.samplers import EpochBatches, Share, grouped_plan, paired_plan, shuffled_plan
from simtrain.data.texts import CatalogTexts
from simtrain.data.transforms import PartViews, ViewTransform
from simtrain.encoders.base import Encoder
from simtrain.errors import CatalogError, ConfigError, error_path
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.relevance import filled_columns
from simtrain.training.ranks import local_count, rank, rank_count


def build_data(
    config: RunConfig,
    catalog: Catalog,
    *,
    images: ImageReader,
    encoder: Encoder,
    validation: RetrievalTask | None,
    texts: CatalogTexts | None,
) -> tuple[CatalogData, int]:
    """The loaders, and the number of training groups (0 where the objective has none).

    Args:
        config: The run's configuration.
        catalog: Catalogue whose training images are loaded.
        images: Reader of the catalogue's images.
        encoder: Encoder whose preprocessing of training views and of embedded images is used.
        validation: Retrieval task of validation, or None.
        texts: Texts of the training images; None where the objective uses none.

    Raises:
        CatalogError: if the catalogue cannot fill the batches.
        ConfigError: if the batches do not divide among the processes.
    """
    batches, labels, views = build_batches(config, catalog, texts)
    transform = build_transform(config.augmentation, image_size=encoder.training_image_size)
    settings: dict[str, Any] = {
        "images": images,
        "labels": labels,
        "views": views,
        "preprocessing": encoder.training_preprocessing,
        "seed": config.seed,
    }
    training: TrainingViews
    if _makes_views_on_device(config) and isinstance(transform, PartViews):
        training = TrainingPictures(transform=transform, **settings)
    else:
        training = TrainingViews(transform=transform, **settings)
    validated = None
    if validation is not None:
        validated = CatalogImages(images=images, rows=validation.rows.tolist(), preprocessing=encoder.preprocessing)
    data = CatalogData(
        training=training,
        batches=batches,
        validation=validated,
        loading=LoaderSettings(
            evaluation_batch_size=config.evaluation.batch_size,
            workers=worker_count(config.data.workers, sharing=local_count()),
            pin_memory=config.trainer.accelerator != "cpu" and torch.cuda.is_available(),
            share=Share(index=rank(), of=rank_count()),
        ),
    )
    return data, int(labels.max(initial=-1)) + 1


def build_batches(
    config: RunConfig, catalog: Catalog, texts: CatalogTexts | None
) -> tuple[EpochBatches, NDArray[np.int64], int]:
    """Batches of each epoch for this process, the label of every catalogue row, and the views of a sample.

    Raises:
        CatalogError: if the catalogue cannot fill the batches.
        ConfigError: if the batches do not divide among the processes.
    """
    share = Share(index=rank(), of=rank_count())
    groups = config.objective.needs.groups
    _check_shares(config.data.batch_size, share, group=1 if groups is None else groups.samples)
    plan, labels, views = _plan(config, catalog, texts)
    return EpochBatches(plan=plan, share=share), labels, views


def _makes_views_on_device(config: RunConfig) -> bool:
    """What `augmentation.device` means for this run.

    Raises:
        ConfigError: for views on the device of a frozen network, which sees its pictures once.
    """
    frozen, device = config.trainer.freeze_encoder, config.augmentation.device
    if device == "trainer" and frozen:
        raise ConfigError("augmentation.device: trainer does not go with trainer.freeze_encoder; allowed: auto, loader")
    return device == "trainer" or (device == "auto" and not frozen and run_device(config).type == "cuda")


def build_transform(config: AugmentationConfig, *, image_size: int) -> ViewTransform:
    """Training views of image_size × image_size.

    Raises:
        ConfigError: for a transform that does not exist or does not work, and for a border that never comes into view.
    """
    if config.transforms is not None:
        from simtrain.data.albumentations_views import custom_transform  # takes seconds to import

        own = [(step.name, step.parameters) for step in config.transforms]
        with error_path("augmentation"):
            return custom_transform(own, image_size=image_size)
    parts = replace(PRESETS[config.preset], **config.changed_parts)
    if config.border is not None and not (parts.rotation or parts.zoom or parts.shift):
        raise ConfigError(
            f"augmentation.border: '{config.border}' has no effect, because views are not moved; set "
            "augmentation.border=null, or augmentation.rotation, zoom or shift above 0"
        )
    if config.engine == "albumentations":
        from simtrain.data.albumentations_views import parts_transform

        return parts_transform(parts, image_size=image_size)
    return PartViews(parts, image_size=image_size)


def _plan(config: RunConfig, catalog: Catalog, texts: CatalogTexts | None) -> tuple[EpochPlan, NDArray[np.int64], int]:
    """Batches of an epoch, the label of every catalogue row, and the views of a sample."""
    needs = config.objective.needs
    if needs.groups is not None:
        plan, labels = _grouped_batches(config, catalog, needs.groups)
    else:
        plan, labels = _shuffled_batches(config, catalog, texts), np.full(len(catalog.rows), -1, dtype=np.int64)
    if needs.label_column is not None:
        labels = _supervised_labels(catalog, needs.label_column, weighted=hasattr(config.objective, "label_weight"))
    return plan, labels, needs.views


def _shuffled_batches(config: RunConfig, catalog: Catalog, texts: CatalogTexts | None) -> EpochPlan:
    rows, size, kind = catalog.rows_of(["train"]), config.data.batch_size, ""
    if config.objective.needs.texts_required:
        assert texts is not None
        rows, kind = np.flatnonzero((texts.ids >= 0).any(dim=1).numpy()), " with a text"
    if len(rows) < size:
        raise CatalogError(
            f"{catalog.folder}: {len(rows)} training images{kind}; "
            + (
                f"set data.batch_size={len(rows)} or less"
                if len(rows) > 1
                else f"{config.objective.kind} needs 2 or more"
            )
        )
    return shuffled_plan(rows, batch_size=size, seed=config.seed)


def _grouped_batches(config: RunConfig, catalog: Catalog, needs: GroupNeeds) -> tuple[EpochPlan, NDArray[np.int64]]:
    """Batches of groups, and the group of every catalogue row; -1: in no group."""
    kind, size = config.objective.kind, config.data.batch_size
    groups, labels = _training_groups(catalog, needs, needed_by=kind)
    wanted = size // needs.samples
    within = _categories(catalog, groups, config.data.limit_batch_to, needed=min(wanted, len(groups)))
    if len(groups) < 2:
        found = f"{len(groups)} training groups of '{needs.column}' with 2 images or more"
        fitting = f"a configuration that fits the catalogue: simtrain init {quote(str(catalog.folder))}"
        raise CatalogError(f"{catalog.folder}: {found}; {kind} needs 2 groups; {fitting}")
    if len(groups) < wanted:
        raise CatalogError(
            f"{catalog.folder}: {len(groups)} training groups of '{needs.column}'; a batch of {size} needs {wanted}: "
            f"set data.batch_size={len(groups) * needs.samples} or less"
            + ("" if needs.paired else ", or a larger objective.images_per_group")
        )
    if needs.paired:
        return paired_plan(groups, pairs_per_batch=size, within=within, seed=config.seed), labels
    plan = grouped_plan(groups, groups_per_batch=wanted, images_per_group=needs.images, within=within, seed=config.seed)
    return plan, labels


def _supervised_labels(catalog: Catalog, column: str, *, weighted: bool) -> NDArray[np.int64]:
    """Of every catalogue row, equal where the supervised part of a loss draws together; -1: unknown.

    Args:
        catalog: Catalogue of the run.
        column: Column of the labels.
        weighted: Whether the loss has a weight, which 0 turns off.
    """
    labels = catalog.groups([column])
    if not (labels[catalog.rows_of(["train"])] >= 0).any():
        needed_by, instead = ("label_weight", "label_weight=0") if weighted else ("label_column", "label_column=null")
        raise CatalogError(
            f"{catalog.folder}: '{column}' is empty in split 'train', and objective.{needed_by} needs it; set "
            f"objective.label_column to another column, or objective.{instead}"
        )
    return labels


def _check_shares(batch_size: int, share: Share, *, group: int) -> None:
    """Refuse a batch that processes cannot share, with the nearest that they can and that hold whole groups."""
    if batch_size % share.of:
        step = math.lcm(share.of, group)
        whole = batch_size // step * step
        allowed = " or ".join(str(size) for size in (whole, whole + step) if size >= 2 * group)
        raise ConfigError(f"data.batch_size: {batch_size} does not divide among {share.of} devices; take {allowed}")


def _training_groups(
    catalog: Catalog, needs: GroupNeeds, *, needed_by: str
) -> tuple[dict[int, NDArray[np.int64]], NDArray[np.int64]]:
    """Training rows by group, groups numbered 0, 1, 2 …, and each row's number (-1: in no group)."""
    column = needs.column
    codes, rows = catalog.groups([column]), catalog.rows_of(["train"])
    rows = rows[codes[rows] >= 0]
    if needs.single_image_groups == "error":
        _refuse_single_images(catalog, column, codes, needed_by=needed_by)
    if len(rows) == 0:
        others = [name for name in filled_columns(catalog.rows.iloc[catalog.rows_of(["train"])]) if name != column]
        instead = "augmentation" if needs.paired else others[0] if others else None
        hint = f"; set objective.positive={instead}" if instead is not None else ""
        raise CatalogError(f"{catalog.folder}: '{column}' is empty in split 'train', and {needed_by} needs it{hint}")
    numbers, counts = np.unique(codes[rows], return_counts=True)
    kept = numbers[counts >= 2]
    labels = np.full(len(codes), -1, dtype=np.int64)
    labels[rows] = np.where(np.isin(codes[rows], kept), np.searchsorted(kept, codes[rows]), -1)
    members = rows[labels[rows] >= 0]
    by_group = members[np.argsort(labels[members], kind="stable")]
    ends = np.cumsum(counts[counts >= 2]).tolist()
    begins = [0, *ends[:-1]]  # np.split takes a second for a million images
    return {group: by_group[begins[group] : ends[group]] for group in range(len(kept))}, labels


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


def _categories(
    catalog: Catalog, groups: Mapping[int, NDArray[np.int64]], column: str | None, *, needed: int
) -> dict[int, int] | None:
    """The category of each group: its first image's."""
    if column is None or not groups:
        return None
    codes = catalog.groups([column])
    categories = {group: int(codes[rows[0]]) for group, rows in groups.items()}
    largest = max(Counter(categories.values()).values())
    if largest < needed:
        raise CatalogError(
            f"{catalog.folder}: data.limit_batch_to: the largest '{column}' has {largest} groups; a batch holds "
            f"{needed}: set a smaller data.batch_size"
        )
    return categories
