"""All warnings before training: batches, validation, texts, colours, left and right."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.builders.data import build_transform
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig
from simtrain.data.texts import CatalogTexts
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.evaluation.text_prompts import template_columns
from simtrain.preflight.batches import batch_conflicts, batch_shape, few_classes, lone_images
from simtrain.preflight.colour_probe import ColourProbe, probe_colours
from simtrain.preflight.conflict import Conflict
from simtrain.preflight.evaluation import validation_conflicts
from simtrain.preflight.left_right import left_right_pairs
from simtrain.preflight.mirror_probe import mirroring_share
from simtrain.preflight.texts import text_conflicts

_PROBED_IMAGES, _PROBED_VIEWS = 256, 2
_PROBED_SIDE = 96  # presets scale with the picture: a smaller one tells the same in less time
_HEADROOM = 2  # of the pictures that views are cut from, as in training
_LEAST_PROBED = 30
_MOST_PROBED_VALUES = 64  # of a column; beyond, its values name things rather than properties
# Measured beyond chance: 0.42 to 0.47 for the colours of rendered products, at most 0.17 for anything else; of that,
# the views of color_sensitive lose at most 0.25 and those of the two other presets at least 0.65.
_PREDICTED_BY_COLOUR = 0.3
_MATERIAL_LOSS = 0.4
_DESTROY_COLOURS = ("color_invariant", "simclr")
Images = Callable[[int], NDArray[np.uint8]]


def conflict_warnings(
    config: RunConfig,
    catalog: Catalog,
    *,
    images: Images,
    preprocessing: Preprocessing,
    validation: RetrievalTask | None,
    texts: CatalogTexts | None,
) -> list[Conflict]:
    """All warnings, most harmful first; a second or two of work.

    Args:
        config: The run's configuration.
        catalog: Catalogue to train on.
        images: Catalogue row -> (H, W, 3) uint8 RGB.
        preprocessing: Preprocessing of the encoder.
        validation: Retrieval task of validation; None: no validation.
        texts: Texts of the training images; None where the objective uses none.
    """
    train = catalog.rows.iloc[catalog.rows_of(["train"])]
    return [
        *_colours(config, train, images=images, preprocessing=preprocessing),
        *_sides(config, train, preprocessing=preprocessing),
        *few_classes(config, train),
        *lone_images(config, train),
        *batch_conflicts(config, train),
        *text_conflicts(config, texts, images=len(train)),
        *validation_conflicts(config, catalog, validation),
    ]


def _mattering_columns(config: RunConfig) -> list[str]:
    """Columns whose values the encoder is to tell apart, in their order."""
    shape = batch_shape(config)
    named = [name for template in config.texts.templates for name in template_columns(template)] if config.texts else []
    return list(dict.fromkeys([*config.relevance_columns, *([shape.column] if shape is not None else []), *named]))


def _colours(
    config: RunConfig, train: pd.DataFrame, *, images: Images, preprocessing: Preprocessing
) -> Iterator[Conflict]:
    # One's own transforms may be in pixels, which only the run's own size fits.
    side = preprocessing.image_size
    side = side if config.augmentation.transforms is not None else min(side, _PROBED_SIDE)
    transform = build_transform(config.augmentation, image_size=side)
    for column in _mattering_columns(config):
        rows = _probed_rows(train, column, seed=config.seed)
        if len(rows) < _LEAST_PROBED:
            continue
        pictures = [_source(images(row), side=_HEADROOM * side, preprocessing=preprocessing) for row in rows]
        labels = [str(value) for value in train.loc[rows, column]]
        probe = probe_colours(pictures, labels, transform=transform, views=_PROBED_VIEWS, seed=config.seed)
        if _predicted_by_colour(probe, images=len(rows)) and probe.lost >= _MATERIAL_LOSS:
            yield Conflict(
                kind="colours",
                message=f"colours alone predict '{column}' of {100 * probe.originals:.0f} % of the images, but of "
                f"{100 * probe.views:.0f} % of their augmented views ({100 * probe.changed:.0f} % then look "
                f"like another value): training would make the encoder ignore it; {_keep_colours(config)}",
                figures={"column": column, "images": len(rows), **vars(probe)},
            )


def _predicted_by_colour(probe: ColourProbe, *, images: int) -> bool:
    """Whether so much more than chance that neither other labels nor a few lucky neighbours reach it."""
    luck = 3 * np.sqrt(probe.chance * (1 - probe.chance) / images)
    return probe.predicted >= _PREDICTED_BY_COLOUR and probe.originals - probe.chance > luck


def _keep_colours(config: RunConfig) -> str:
    augmentation = config.augmentation
    changes = [
        *(["augmentation.transforms=null"] if augmentation.transforms is not None else []),
        *(["augmentation.color=null"] if augmentation.color is not None else []),
        *(["augmentation.preset=color_sensitive"] if augmentation.preset in _DESTROY_COLOURS else []),
    ]
    hints = " ".join(f"--set {change}" for change in changes)
    return f"keep the colour with {hints or '--set augmentation.transforms=[{name: HorizontalFlip}]'}"


def _source(image: NDArray[np.uint8], *, side: int, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    return replace(preprocessing, image_size=min(side, max(image.shape[:2]))).pixels(image)


def _probed_rows(train: pd.DataFrame, column: str, *, seed: int) -> list[int]:
    """Rows of a column with few values that repeat, at most one of each product, in turns over the values."""
    if column not in train.columns:
        return []
    known = train[train[column].notna()].sample(frac=1.0, random_state=seed)
    values = known[column].astype(str)
    if column == "product" or not 2 <= values.nunique() <= _MOST_PROBED_VALUES:
        return []
    alone = known["product"].isna() | ~known["product"].duplicated()
    known, values = known[alone], values[alone]
    turn = values.groupby(values).cumcount()
    order = turn.sort_values(kind="stable").index
    return [int(row) for row in order[:_PROBED_IMAGES]]


def _sides(config: RunConfig, train: pd.DataFrame, *, preprocessing: Preprocessing) -> Iterator[Conflict]:
    mattering = [column for column in _mattering_columns(config) if column in train.columns]
    for column in dict.fromkeys([*mattering, "label", "caption"]):
        pair = _left_right_pair(train, column, mattering)
        if pair is None:
            continue
        if preprocessing.flip_averaging:
            yield Conflict(
                kind="sides",
                message=f"'{column}' separates left from right ('{pair[0]}', '{pair[1]}'), but with flip "
                f"averaging an image"
                " and its mirror image have one embedding; add --set encoder.flip_averaging=false",
                figures={"column": column, "values": list(pair), "mirrored": 1.0},
            )
        side = preprocessing.image_size
        mirrored = mirroring_share(build_transform(config.augmentation, image_size=side), side=_HEADROOM * side)
        if mirrored > 0:
            instead = (
                "keep the sides with --set augmentation.flip=false"
                if config.augmentation.transforms is None
                else "take the flips out of augmentation.transforms"
            )
            yield Conflict(
                kind="sides",
                message=f"'{column}' separates left from right ('{pair[0]}', '{pair[1]}'), but the augmentation "
                f"mirrors "
                f"{100 * mirrored:.0f} % of the views: training would make the encoder ignore it; {instead}",
                figures={"column": column, "values": list(pair), "mirrored": mirrored},
            )
        return


def _left_right_pair(train: pd.DataFrame, column: str, mattering: list[str]) -> tuple[str, str] | None:
    """A left and a right value whose images the encoder is to tell apart: two views of one product are none."""
    if column not in train.columns:
        return None
    values = train[column].astype(str).where(train[column].notna())
    for left, right in left_right_pairs(values.dropna().unique()):
        shared = [
            set(train.loc[values == left, name].dropna()) & set(train.loc[values == right, name].dropna())
            for name in mattering
        ]
        if column in mattering or not any(shared):
            return left, right
    return None
