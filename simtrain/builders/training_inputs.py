"""Inputs of an objective besides images: groups, duplicates, references, texts, the initial encoder."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from simtrain.data.texts import CatalogTexts
from simtrain.encoders.base import Encoder
from simtrain.evaluation.text_task import TextTasks
from simtrain.modules.coarser_level import CoarserLevel


@dataclass(frozen=True, kw_only=True)
class TrainingInputs:
    """Inputs of an objective besides the images of a batch.

    Attributes:
        groups: Number of training groups, for losses with proxies.
        duplicate_groups: (catalogue rows,) int64, equal for copies of one image; -1 for an image without copies.
        reference: (catalogue rows, F) unit vectors of the initial encoder, zeros for rows outside the training split;
            None where the objective needs none.
        teacher: (catalogue rows, C) unit vectors of the teacher of relational distillation, zeros for rows outside the
            training split; None without a teacher.
        levels: Coarser levels of similarity.
        start: The run's encoder with its initial weights; None without regularisation towards them.
        texts: Texts of the training images; None where the objective uses none.
        text_embeddings: (texts, D) unit embeddings of these texts; None where the text tower learns.
        validation_texts: Text retrieval task that validation scores; None: none.
    """

    groups: int
    duplicate_groups: Tensor
    reference: Tensor | None
    teacher: Tensor | None = None
    levels: Sequence[CoarserLevel] = ()
    start: Encoder | None = None
    texts: CatalogTexts | None = None
    text_embeddings: Tensor | None = None
    validation_texts: TextTasks | None = None
