"""Parts of a small shop, and unit vectors in its plane."""

from pathlib import Path

import numpy as np
import torch
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.comparison.fold_scores import Look
from simtrain.comparison.folds import Part, part_of
from simtrain.evaluation.relevance import same

FOLDER = Path("shop")


def part(
    catalog: Catalog, *, fold: int | None = None, relevance: tuple[str, ...] = ("product",), most: int = 99
) -> Part:
    return part_of(
        catalog,
        fold=fold,
        split="test",
        gallery_splits=None,
        relevance=[same([name]) for name in relevance],
        training_images=most,
        seed=0,
    )


def looking(vectors: list[list[float]]) -> Look:
    unit = torch.nn.functional.normalize(torch.tensor(vectors), dim=1)
    return lambda places: unit[torch.from_numpy(places)]


def angles(*degrees: float) -> Look:
    return looking([[float(np.cos(np.radians(one))), float(np.sin(np.radians(one)))] for one in degrees])


SHOP = catalog_of(
    FOLDER,
    split=["train"] * 3 + ["test"] * 6,
    product=["a", "a", "b", "c", "c", "d", "d", "e", "e"],
    label=["x", "x", "x", "cup", "cup", "cup", "cup", "lamp", "lamp"],
)
LOOK = angles(0, 0, 0, 10, 12, 13, 40, 90, 95)
