"""Retrieval between images and texts, in both directions."""

# Shapes: N images, M texts, D features.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.metrics import QueryScores, score_queries
from simtrain.evaluation.retrieval_set import RetrievalSet


@dataclass(frozen=True, kw_only=True)
class TextSet:
    """Images and texts that search each other. A text is no image, so nothing is left out as the query itself.

    Attributes:
        image_embeddings: (N, D) float32 unit vectors.
        image_ids: N unique ids; images of equal similarity rank in the order of these.
        image_groups: (N,) equal to those of the texts that an image is relevant to; -1: to none.
        text_embeddings: (M, D) float32 unit vectors on the same device.
        texts: M texts; of equal similarity, they rank in alphabetical order.
        text_groups: (M,) from the same numbering.
    """

    image_embeddings: Tensor
    image_ids: Sequence[str]
    image_groups: NDArray[np.int64]
    text_embeddings: Tensor
    texts: Sequence[str]
    text_groups: NDArray[np.int64]

    def text_to_image(self) -> QueryScores:
        """Scores of every text as a query, with all images as the gallery."""
        return score_queries(
            RetrievalSet(
                query_embeddings=self.text_embeddings,
                gallery_embeddings=self.image_embeddings,
                query_ids=self._names_of_texts(),
                gallery_ids=self._names_of_images(),
                query_groups=self.text_groups,
                gallery_groups=self.image_groups,
            )
        )

    def image_to_text(self) -> QueryScores:
        """Scores of every image that a text is relevant to as a query, with all texts as the gallery."""
        return score_queries(
            RetrievalSet(
                query_embeddings=self.image_embeddings,
                gallery_embeddings=self.text_embeddings,
                query_ids=self._names_of_images(),
                gallery_ids=self._names_of_texts(),
                query_groups=self.image_groups,
                gallery_groups=self.text_groups,
            )
        )

    def _names_of_images(self) -> list[str]:
        return [f"image {name}" for name in self.image_ids]  # a caption may be the id of an image

    def _names_of_texts(self) -> list[str]:
        # A text may stand for two groups, so it alone is no id.
        return [f"text {text}\0{index:09}" for index, text in enumerate(self.texts)]
