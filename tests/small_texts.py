"""Encoders that look texts up, and tasks of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.catalog.table import Catalog
from simtrain.evaluation.statistics import BootstrapSettings
from simtrain.evaluation.text_figures import TextEvaluation, text_retrieval_figures
from simtrain.evaluation.text_task import TextScores, text_tasks

FOLDER = Path("shop")
NORTH, EAST, SOUTH = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]


class Dictionary:
    """A text encoder that knows some texts by heart, and says which it was asked for."""

    def __init__(self, known: Mapping[str, Sequence[float]]) -> None:
        self.known = known
        self.asked: list[str] = []

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        self.asked += texts
        return F.normalize(torch.tensor([list(self.known[text]) for text in texts]).reshape(len(texts), -1), dim=1)


def random_units(rows: int, *, seed: int) -> Tensor:
    return F.normalize(torch.randn(rows, 8, generator=torch.Generator().manual_seed(seed)), dim=1)


def judged(
    catalog: Catalog,
    images: Tensor,
    encoder: Dictionary,
    *,
    captions: str | None = None,
    templates: Sequence[str] = (),
    rows: Sequence[int] | None = None,
) -> TextEvaluation:
    picked = np.arange(len(catalog.rows)) if rows is None else np.array(rows)
    task = text_tasks(catalog, picked, captions=captions, templates=templates)
    assert task is not None
    scores = task.scores_by_kind(images, encoder)
    return text_retrieval_figures(task, scores, encoder, bootstrap=BootstrapSettings(draws=200, confidence=0.9, seed=3))


def caption_scores(catalog: Catalog, images: Tensor, encoder: Dictionary) -> TextScores:
    task = text_tasks(catalog, np.arange(len(catalog.rows)), captions="{caption}", templates=[])
    assert task is not None
    return task.query_scores(images, encoder)
