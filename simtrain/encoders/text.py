"""Protocols of encoders that embed texts, or that save a folder of their own."""

# Shapes: N texts, D dimensions of the embedding.

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor, nn


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
class TokenizedTextEncoder(LimitedTextEncoder, Protocol):
    """A text encoder that is a tokenizer and, behind it, a network: each can be written down by itself."""

    @property
    def text_prompt(self) -> str:
        """Put before every text; empty: nothing."""
        ...

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Texts -> what `text_features` takes, on the encoder's device; long texts are cut."""
        ...

    def text_features(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Tokens of N texts -> (N, D) features, not of unit length."""
        ...

    def tokenizer_json(self) -> str | None:
        """A `tokenizer.json` that cuts and pads as `tokenize` does; None: the tokenizer has no such file."""
        ...


@runtime_checkable
class AlignedEncoder(TextEncoder, Protocol):
    """A text encoder that image-text losses can train."""

    @property
    def trains_text(self) -> bool:
        """Whether the text side learns; else a text has the same embedding from the first step to the last."""
        ...

    @property
    def logit_scale(self) -> nn.Parameter:
        """Log of the factor that cosines are multiplied with."""
        ...

    @property
    def logit_bias(self) -> nn.Parameter | None:
        """What is added to the multiplied cosines where each pair is judged on its own (SigLIP); None: nothing."""
        ...

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Texts -> what `text_features` takes, on the encoder's device; long texts are cut."""
        ...

    def text_features(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Tokens of N texts -> (N, D) features, not of unit length, with gradients where the text side learns."""
        ...


@runtime_checkable
class TextFolderEncoder(Protocol):
    """An encoder whose text tower is a model of its own, apart from what `FolderEncoder` writes or weights hold."""

    @property
    def has_text_folder(self) -> bool:
        """Whether there is such a tower."""
        ...

    def save_text_folder(self, folder: Path) -> None:
        """Write the text tower's folder, which is made, such that a configuration can name it in the tower's place."""
        ...


@runtime_checkable
class FolderEncoder(Protocol):
    """An encoder whose library has a folder format of its own: weights, tokenizer and preparation of images."""

    def save_folder(self, folder: Path) -> None:
        """Write the folder, which is made, such that it a configuration can name it as its model."""
        ...
