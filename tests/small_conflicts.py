"""Small shops, and what is found to be in conflict in them before training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simtrain.builders.texts import build_texts
from simtrain.builders.validation import build_validation
from simtrain.catalog.table import Catalog
from simtrain.config import RunConfig, parse_run_config
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.preflight.conflict import Conflict
from simtrain.preflight.conflicts import conflict_warnings

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 40), "blue": (30, 50, 200)}
PREPROCESSING = Preprocessing(
    image_size=32,
    resize="pad",
    interpolation="bilinear",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    flip_averaging=False,
)
SIMCLR = {"kind": "simclr"}
TRIPLET = {"kind": "triplet"}


def shop(columns: Mapping[str, Sequence[Any]]) -> Catalog:
    count = len(columns["split"])
    usual = {"id": [f"{row:04}" for row in range(count)], "product": [None] * count, "label": [None] * count}
    more = {"caption": [None] * count, "query": [True] * count, "gallery": [True] * count}
    more["duplicate_group"] = [None] * count
    return Catalog(rows=pd.DataFrame({**usual, **more, **columns}), root=Path(), folder=Path("shop"))


def products(count: int, *, views: int = 4, **columns: Any) -> Catalog:
    """`count` products in train and 20 in val, four pictures of each."""
    names = [f"p{number:03}" for number in range(count + 20) for _ in range(views)]
    split = ["train"] * (count * views) + ["val"] * (20 * views)
    return shop({"product": names, "split": split, **columns})


def config_of(objective: Mapping[str, Any], **sections: Any) -> RunConfig:
    tree = {"catalog": "shop", "encoder": {"kind": "resnet"}, "data": {"batch_size": 8}, "objective": objective}
    return parse_run_config({**tree, **sections}, where="test")


def coloured(catalog: Catalog, column: str, row: int) -> NDArray[np.uint8]:
    picture = np.full((40, 40, 3), 255, dtype=np.uint8)
    colour = COLOURS.get(str(catalog.rows[column].iat[row]), (90, 90, 90))
    return np.asarray(cv2.circle(picture, (20, 20), 8 + row % 7, colour, thickness=-1))


def found(config: RunConfig, catalog: Catalog, *, column: str = "label") -> list[Conflict]:
    return conflict_warnings(
        config,
        catalog,
        images=lambda row: coloured(catalog, column, row),
        preprocessing=PREPROCESSING,
        validation=build_validation(config, catalog),
        texts=build_texts(config, catalog),
    )


def kinds(conflicts: list[Conflict]) -> list[str]:
    return [conflict.kind for conflict in conflicts]


def colour_shop() -> Catalog:
    labels = [list(COLOURS)[number % 3] for number in range(60)]
    return shop({"label": labels, "split": ["train"] * 45 + ["val"] * 15})
