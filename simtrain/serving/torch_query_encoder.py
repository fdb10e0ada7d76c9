"""An encoder under torch for the queries of a search."""

# Shapes: N images or texts, S = image_size, D dimensions of the embedding.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.text import LimitedTextEncoder, TextEncoder
from simtrain.serving.query_encoder import NO_TEXT_TOWER


@dataclass(frozen=True, kw_only=True)
class TorchQueryEncoder:
    """A `QueryEncoder` that torch runs.

    Attributes:
        encoder: Encoder on `device`, in evaluation mode.
        device: Device to compute on.
    """

    encoder: Encoder
    device: torch.device

    @property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of its images."""
        return self.encoder.preprocessing

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.encoder.embedding_size

    @property
    def no_texts(self) -> str | None:
        """Why it embeds no texts; None: it does."""
        return None if isinstance(self.encoder, TextEncoder) else NO_TEXT_TOWER

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, S, S, 3) -> (N, D) of unit length."""
        # a copy: what a file was read into may be read-only, which torch warns about
        embeddings: NDArray[np.float32] = self.encoder.embed_pixels(torch.tensor(pixels).to(self.device)).cpu().numpy()
        return embeddings

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """N texts -> (N, D) of unit length."""
        assert isinstance(self.encoder, TextEncoder)
        embeddings: NDArray[np.float32] = self.encoder.embed_texts(texts).cpu().numpy()
        return embeddings

    def tokens_read(self, text: str) -> int | None:
        """After how many tokens it stops reading this text; None: it reads all of it."""
        cut = isinstance(self.encoder, LimitedTextEncoder) and self.encoder.truncated([text])
        return self.encoder.longest_text if isinstance(self.encoder, LimitedTextEncoder) and cut else None
