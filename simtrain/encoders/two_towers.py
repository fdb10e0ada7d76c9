"""Two-tower encoder: an image encoder with a frozen text model (LiT, https://arxiv.org/abs/2111.07991)."""

# Shapes: N images or texts, D dimensions of the text model's embedding.

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.text_tower import TextTower


class TwoTowersEncoder(Encoder):
    """Images go by a new projection into the space of a text model that stays as it is.

    The text model is no part of the module: its weights are in no checkpoint, nothing averages them or puts them into
    training mode, and `state_dict` is that of the images (`image.…`) and of the scale alone. `save_text_folder` writes
    it down, and an encoder for these weights is made with what that has written.

    Args:
        image: Image encoder whose last layer projects to D.
        text_tower: Frozen text model of D dimensions.
        scale: Initial factor that cosine similarities are multiplied with; above 0.

    Attributes:
        logit_scale: Logarithm of the scale, which learns only where a loss on texts switches its gradient on.

    Raises:
        ValueError: if the image encoder gives other than D dimensions.
    """

    def __init__(self, *, image: Encoder, text_tower: TextTower, scale: float) -> None:
        if image.embedding_size != text_tower.size:
            raise ValueError(f"image gives {image.embedding_size} dimensions; the texts have {text_tower.size}")
        super().__init__(preprocessing=image.preprocessing, feature_size=image.embedding_size, embedding_size=None)
        self.training_image_size = image.training_image_size
        self.image = image
        self.logit_scale = nn.Parameter(torch.tensor(math.log(scale)), requires_grad=False)
        self._text_tower = text_tower

    @property
    def trains_text(self) -> bool:
        """Whether the text side learns: it never does."""
        return False

    @property
    def logit_bias(self) -> nn.Parameter | None:
        """Nothing is added to the multiplied cosines."""
        return None

    @property
    def longest_text(self) -> int:
        """Tokens of a text that are read, those for its start and end among them."""
        return self._text_tower.longest_text

    @property
    def has_text_folder(self) -> bool:
        """Whether the text tower is a model of its own: it is."""
        return True

    @override
    def features(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) normalised images -> (N, D) projected features."""
        return self.image.forward(images)

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """Texts -> what `text_features` takes, on the encoder's device; long texts are cut."""
        return self._text_tower.tokenize(texts, device=self.logit_scale.device)

    def text_features(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Tokens of N texts -> (N, D) features, without gradients."""
        return self._text_tower.text_features(tokens)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """N texts -> (N, D) float32 of unit length, on the encoder's device, without gradients."""
        return self._text_tower.embed_texts(texts, size=self.embedding_size, device=self.logit_scale.device)

    @property
    def text_prompt(self) -> str:
        """Put before every text; empty: nothing."""
        return self._text_tower.prompt

    def tokenizer_json(self) -> str | None:
        """The tokenizer for the library `tokenizers`; see `TextSide.tokenizer_json`."""
        return self._text_tower.tokenizer_json()

    def truncated(self, texts: Sequence[str]) -> list[int]:
        """Positions of the texts that are longer than what is read."""
        return self._text_tower.truncated(texts)

    def save_text_folder(self, folder: Path) -> None:
        """Write the text tower's folder, which is made."""
        self._text_tower.save_folder(folder)

    @override
    def pretrained_encoder(self) -> Encoder:
        return self.image.pretrained_encoder()

    @property
    @override
    def last_layer(self) -> nn.Module:
        return self.image.last_layer

    @override
    def new_parameters(self) -> list[nn.Parameter]:
        return self.image.new_parameters()

    @override
    def pretrained_depths(self) -> dict[str, int]:
        """As the image encoder counts them; the scale is with the topmost layer."""
        depths = {f"image.{name}": depth for name, depth in self.image.pretrained_depths().items()}
        return {**depths, "logit_scale": max(depths.values(), default=0)}

    @override
    def checkpoint_activations(self) -> None:
        self.image.checkpoint_activations()

    @override
    def merged(self) -> Self:
        plain = super().merged()
        plain.logit_scale.requires_grad_(self.logit_scale.requires_grad)
        return plain
