"""What an objective needs to know about the training images."""

from dataclasses import dataclass

from torch import Tensor

from simtrain.data.texts import CatalogTexts
from simtrain.encoders.base import Encoder
from simtrain.evaluation.text_task import TextTask


@dataclass(frozen=True, kw_only=True)
class TrainingFacts:
    """What an objective needs to know about the training images.

    Attributes:
        groups: Number of training groups, for losses with proxies.
        duplicate_groups: (catalogue rows,) int64, equal for copies of one picture; -1 for a picture of its own.
        reference: (catalogue rows, F) unit vectors of the untouched encoder, zeros for those that are not trained on;
            None where nothing asks for them.
        start: The run's encoder as it was before the first step; None where nothing is held to it.
        texts: Of the training images; None where the objective reads none.
        text_embeddings: (texts, D) unit vectors of them; None where the text side learns.
        validation_texts: Texts that validation scores; None: none.
    """

    groups: int
    duplicate_groups: Tensor
    reference: Tensor | None
    start: Encoder | None = None
    texts: CatalogTexts | None = None
    text_embeddings: Tensor | None = None
    validation_texts: TextTask | None = None
