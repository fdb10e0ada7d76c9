"""Warnings about batches of groups: too few groups, images or classes."""

# Shapes: P groups of K images make a batch.

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from simtrain.config import RunConfig
from simtrain.phrases import counted
from simtrain.preflight.conflict import Conflict

_FEW_CLASSES = 50
_MANY = 0.1  # share of groups from which their repeating themselves is worth a word
_MOSTLY = 0.5  # share of groups that fill no batch of their own category
_NEARLY_ALL = 0.8  # share of the groups in one batch


@dataclass(frozen=True, kw_only=True)
class BatchShape:
    """Shape of a batch of groups.

    Attributes:
        column: Column whose equal values make a group.
        groups: Number of groups in a batch, P.
        images: Number of images of a group, K.
        counted: Number of samples of `data.batch_size` that one group takes.
    """

    column: str
    groups: int
    images: int
    counted: int


def batch_shape(config: RunConfig) -> BatchShape | None:
    """The groups of a batch; None where the objective has none."""
    groups = config.objective.needs.groups
    if groups is None:
        return None
    return BatchShape(
        column=groups.column,
        groups=config.data.batch_size // groups.samples,
        images=groups.images,
        counted=groups.samples,
    )


def few_classes(config: RunConfig, train: pd.DataFrame) -> Iterator[Conflict]:
    """Warn about positives by a column with few values.

    Args:
        config: The run's configuration.
        train: The catalogue's training rows.
    """
    shape = batch_shape(config)
    if shape is None or shape.column == "product":
        return
    classes, products = len(_group_sizes(train, shape.column)), len(_group_sizes(train, "product"))
    if 0 < classes < _FEW_CLASSES:
        instead = "objective.positive=product" if products >= shape.groups else "objective={kind: simclr}"
        yield Conflict(
            kind="few classes",
            message=f"'{shape.column}' has {classes} values: with these positives the encoder learns to "
            f"separate {classes} "
            f"classes, not products; for products: --set '{instead}'",
            figures={"column": shape.column, "classes": classes, "products": products},
        )


def lone_images(config: RunConfig, train: pd.DataFrame) -> Iterator[Conflict]:
    """Tell of groups that training leaves out, for they have one image.

    Args:
        config: The run's configuration.
        train: The catalogue's training rows.
    """
    groups = config.objective.needs.groups
    if groups is None or groups.column not in train.columns or groups.single_image_groups == "error":
        return
    sizes = train[groups.column].dropna().value_counts(sort=False)
    lone = sizes[sizes == 1]
    if len(lone):
        yield Conflict(
            kind="single images",
            message=f"{len(lone)} of {counted(len(sizes), 'training group')} of '{groups.column}' "
            f"{'has' if len(lone) == 1 else 'have'} one image, such as '{lone.index[0]}', and "
            f"{'takes' if len(lone) == 1 else 'take'} no part in training",
            figures={"column": groups.column, "groups": len(sizes), "lone": len(lone)},
        )


def batch_conflicts(config: RunConfig, train: pd.DataFrame) -> Iterator[Conflict]:
    """Warn about groups with too few images, categories with too few groups, and too few groups in all.

    Args:
        config: The run's configuration.
        train: The catalogue's training rows.
    """
    shape = batch_shape(config)
    if shape is None:
        return
    sizes = _group_sizes(train, shape.column)
    if len(sizes):
        yield from _small_groups(config, shape, sizes)
        yield from _mixed_batches(config, shape, sizes, train)
        yield from _same_groups(shape, sizes)


def _group_sizes(train: pd.DataFrame, column: str) -> "pd.Series[int]":
    """Images of each group that has two or more, largest first."""
    if column not in train.columns:
        return pd.Series(dtype=int)
    sizes = train[column].dropna().value_counts()
    return sizes[sizes >= 2]


def _small_groups(config: RunConfig, shape: BatchShape, sizes: "pd.Series[int]") -> Iterator[Conflict]:
    small = sizes[sizes < shape.images]
    if len(small) > _MANY * len(sizes):
        yield Conflict(
            kind="unfilled groups",
            message=f"{len(small)} of {len(sizes)} training groups of '{shape.column}' have fewer than {shape.images} "
            f"images, such as '{small.index[0]}' with {small.iloc[0]}: a batch repeats them; "
            f"{_fewer_images(config, shape, sizes)}",
            figures={
                "column": shape.column,
                "groups": len(sizes),
                "small": len(small),
                "images_per_group": shape.images,
            },
        )


def _fewer_images(config: RunConfig, shape: BatchShape, sizes: "pd.Series[int]") -> str:
    """The largest K that most groups fill, and a batch size that holds whole groups of it."""
    filled = [images for images in range(2, shape.images) if (sizes < images).sum() <= _MANY * len(sizes)]
    images = max(filled)  # every group has 2
    size = min(config.data.batch_size, len(sizes) * images) // images * images
    resized = f" --set data.batch_size={size}" if size != config.data.batch_size else ""
    return f"--set objective.images_per_group={images}{resized}"


def _mixed_batches(
    config: RunConfig, shape: BatchShape, sizes: "pd.Series[int]", train: pd.DataFrame
) -> Iterator[Conflict]:
    """A category's groups make as many whole batches as they can; the rest are mixed."""
    column = config.data.limit_batch_to
    if column is None or column not in train.columns:
        return
    firsts = train[train[shape.column].isin(sizes.index)].drop_duplicates(shape.column)
    categories = firsts[column].value_counts(dropna=False)
    mixed = _mixed_share(categories, shape.groups)
    if mixed <= _MOSTLY:
        return
    fitting = [groups for groups in range(2, shape.groups) if _mixed_share(categories, groups) <= _MOSTLY]
    instead = f"data.batch_size={max(fitting) * shape.counted}" if fitting else "data.limit_batch_to=null"
    yield Conflict(
        kind="mixed batches",
        message=f"data.limit_batch_to: {100 * mixed:.0f} % of the training groups of '{shape.column}' fill no batch of "
        f"{shape.groups} groups of one '{column}' and are mixed with those of others; --set {instead}",
        figures={"column": column, "values": len(categories), "groups": len(sizes), "mixed": mixed},
    )


def _mixed_share(categories: "pd.Series[int]", groups: int) -> float:
    return float(1 - (categories // groups * groups).sum() / categories.sum())


def _same_groups(shape: BatchShape, sizes: "pd.Series[int]") -> Iterator[Conflict]:
    if shape.column != "product" and len(sizes) < _FEW_CLASSES:
        return  # reported as few classes
    if shape.groups >= _NEARLY_ALL * len(sizes):
        half = len(sizes) // 2
        instead = f"--set data.batch_size={half * shape.counted} varies them" if half >= 2 else "add products"
        yield Conflict(
            kind="few groups",
            message=f"a batch takes {shape.groups} of {len(sizes)} training groups of '{shape.column}': all batches "
            f"are nearly the same; {instead}",
            figures={"column": shape.column, "groups": len(sizes), "groups_per_batch": shape.groups},
        )
