"""What encoders can do beyond images, for those who use it without knowing which encoder it is."""

# Shapes: N texts, D dimensions of the embedding.

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class TextEncoder(Protocol):
    """An encoder that puts texts into the space of its images."""

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """N texts -> (N, D) float32 of unit length, on the encoder's device, without gradients."""
        ...


@runtime_checkable
class LimitedTextEncoder(TextEncoder, Protocol):
    """A text encoder that reads no more than the beginning of a long text."""

    @property
    def longest_text(self) -> int:
        """Tokens of a text that are read, those for its start and end among them."""
        ...

    def truncated(self, texts: Sequence[str]) -> list[int]:
        """Positions of the texts that are longer than what is read."""
        ...


@runtime_checkable
class FolderEncoder(Protocol):
    """An encoder whose library has a folder format of its own: weights, tokenizer and preparation of images."""

    def save_folder(self, folder: Path) -> None:
        """Write the folder, which is made, such that it is `encoder.model` of a configuration."""
        ...
