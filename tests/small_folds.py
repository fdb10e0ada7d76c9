"""Folds of a small shop, and unit vectors in its plane."""

from pathlib import Path

import numpy as np
import torch
from tiny_training import catalog_of

from simtrain.catalog.table import Catalog
from simtrain.comparison.fold_scores import EmbeddingLookup
from simtrain.comparison.folds import Fold, FoldSettings, build_fold
from simtrain.evaluation.relevance import same

FOLDER = Path("shop")


def small_fold(
    catalog: Catalog, *, number: int | None = None, relevance: tuple[str, ...] = ("product",), most: int = 99
) -> Fold:
    settings = FoldSettings(
        split="test",
        gallery_splits=None,
        relevance=[same([name]) for name in relevance],
        training_images=most,
        seed=0,
    )
    return build_fold(catalog, number=number, settings=settings)


def lookup_of(vectors: list[list[float]]) -> EmbeddingLookup:
    unit = torch.nn.functional.normalize(torch.tensor(vectors), dim=1)
    return lambda catalog_rows: unit[torch.from_numpy(catalog_rows)]


def angles(*degrees: float) -> EmbeddingLookup:
    return lookup_of([[float(np.cos(np.radians(one))), float(np.sin(np.radians(one)))] for one in degrees])


SHOP = catalog_of(
    FOLDER,
    split=["train"] * 3 + ["test"] * 6,
    product=["a", "a", "b", "c", "c", "d", "d", "e", "e"],
    label=["x", "x", "x", "cup", "cup", "cup", "cup", "lamp", "lamp"],
)
LOOKUP = angles(0, 0, 0, 10, 12, 13, 40, 90, 95)
