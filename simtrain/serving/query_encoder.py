"""What a search needs of an encoder, whatever runs it."""

# Shapes: N images or texts, S = image_size, D dimensions of the embedding.

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simtrain.encoders.preprocessing import Preprocessing


class QueryEncoder(Protocol):
    """An encoder that embeds the queries of a search."""

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of its images."""
        ...

    @property
    def embedding_size(self) -> int:
        """D."""
        ...

    @property
    def no_texts(self) -> str | None:
        """Why it embeds no texts, and what to do; None: it does."""
        ...

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, S, S, 3) -> (N, D) of unit length."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts -> (N, D) of unit length; only where `no_texts` is None."""
        ...

    def tokens_read(self, text: str) -> int | None:
        """After how many tokens it stops reading this text; None: it reads all of it."""
        ...


NO_TEXT_TOWER = "this bundle's encoder has no text tower; search it by image"


def embed_decoded_images(encoder: QueryEncoder, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Prepare and embed decoded pictures as one batch.

    Args:
        encoder: Encoder of the images.
        images: N images, each (H, W, 3) uint8 RGB.

    Returns:
        (N, D) float32 embeddings of unit length.

    Raises:
        ValueError: for a picture that is not (H, W, 3) uint8.
    """
    for image in images:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image is {image.dtype} of shape {image.shape}; allowed: uint8 of shape (H, W, 3)")
    return encoder.embed_pixels(np.stack([encoder.preprocessing.pixels(image) for image in images]))
