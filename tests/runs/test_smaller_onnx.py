"""What smaller copies of an encoder are measured on, beside plain loops."""

# Shapes: N = 30 images, D = 6.

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from simtrain.catalog.table import Catalog
from simtrain.encoders.baseline import PixelsEncoder
from simtrain.evaluation.protocol import RetrievalTask
from simtrain.runs.smaller_onnx import EmbeddedCatalog, precision_sample

COUNT = 30
SPLITS = ["train"] * 10 + ["val"] * 20
GROUPS = np.arange(COUNT) % 5
GENERATOR = torch.Generator().manual_seed(0)
EMBEDDINGS = F.normalize(torch.randn(COUNT, 6, generator=GENERATOR), dim=1)


@dataclass(frozen=True)
class RowsAsImages:
    """The image of a row is of that number."""

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        return np.full((4, 4, 3), row, dtype=np.uint8)


@dataclass(frozen=True)
class Rows:
    rows: pd.DataFrame


def embedded(task: RetrievalTask | None, splits: list[str] = SPLITS) -> EmbeddedCatalog:
    rows: Any = Rows(pd.DataFrame({"split": splits, "gallery": [True] * COUNT}))
    return EmbeddedCatalog(catalog=cast(Catalog, rows), images=RowsAsImages(), embeddings=EMBEDDINGS, task=task)


def encoder() -> PixelsEncoder:
    return PixelsEncoder(image_size=4, resize="pad")


def copied(rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Embeddings by a copy that is much off."""
    noise = torch.randn(COUNT, 6, generator=torch.Generator().manual_seed(1))
    return F.normalize(EMBEDDINGS + 0.4 * noise, dim=1).numpy()[rows]


def recall(queries: NDArray[np.float32], rows: NDArray[np.int64], *, k: int) -> float:
    hits = 0
    for query, row in zip(queries, rows, strict=True):
        others = [int(other) for other in rows if other != row]
        near = sorted(others, key=lambda other: -float(EMBEDDINGS[other].numpy() @ query))[:k]
        hits += any(GROUPS[other] == GROUPS[row] for other in near)
    return hits / len(rows)


def test_recall_is_of_queries_by_the_copy_among_the_encoders_own_embeddings() -> None:
    rows = np.arange(10, COUNT)
    positions = np.arange(len(rows))
    task = RetrievalTask(
        rows=rows, queries=positions, gallery=positions, ids=[f"i{row:02d}" for row in rows], groups=GROUPS[rows],
        clusters=positions, copied_queries=0,
    )  # fmt: skip
    sample = precision_sample(encoder(), embedded(task))
    assert sample.calibration[:, 0, 0, 0].tolist() == list(range(10))
    assert sample.pixels[:, 0, 0, 0].tolist() == rows.tolist()
    np.testing.assert_array_equal(sample.expected, EMBEDDINGS.numpy()[rows])
    figures = sample.figures(copied(rows))
    assert figures["measured_on"] == "val"
    for k in (1, 10):
        assert figures[f"recall_at_{k}"] == pytest.approx(recall(copied(rows), rows, k=k))
        assert figures[f"recall_at_{k}_of_float32"] == pytest.approx(recall(EMBEDDINGS.numpy()[rows], rows, k=k))
    assert figures["recall_at_1"] != figures["recall_at_1_of_float32"]


def test_without_a_validation_split_the_nearest_items_count() -> None:
    sample = precision_sample(encoder(), embedded(None, ["test"] * COUNT))
    rows = np.arange(COUNT)
    assert sample.calibration[:, 0, 0, 0].tolist() == sample.pixels[:, 0, 0, 0].tolist() == rows.tolist()
    kept = []
    for row, query in zip(rows, copied(rows), strict=True):
        near = [
            sorted((other for other in rows if other != row), key=lambda other: -float(EMBEDDINGS[other].numpy() @ one))
            for one in (EMBEDDINGS[row].numpy(), query)
        ]
        kept.append(len(set(near[0][:10]) & set(near[1][:10])) / 10)
    figures = sample.figures(copied(rows))
    assert figures == {"measured_on": "items", "neighbours_kept": pytest.approx(np.mean(kept))}
    assert sample.figures(EMBEDDINGS.numpy())["neighbours_kept"] == 1
