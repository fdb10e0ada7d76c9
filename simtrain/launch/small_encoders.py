"""Small encoders and images of noise for the equivalence check of several processes."""

# Shapes: S = IMAGE_SIZE pixels, T texts, D dimensions of the embedding.

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.sending import sent

IMAGE_SIZE = 24


class NoiseImages:
    """Pictures of noise that lean to their group's colour."""

    def read(self, row: int, *, at_least: int | None) -> NDArray[np.uint8]:
        """The picture of a row, (S, S, 3)."""
        del at_least
        of_group, of_row = (np.random.default_rng(seed) for seed in (row // 3, 1000 + row))
        tint = of_group.integers(0, 160, size=3)
        noise = of_row.integers(0, 96, size=(IMAGE_SIZE, IMAGE_SIZE, 3))
        picture: NDArray[np.uint8] = (tint + noise).astype(np.uint8)
        return picture


class SmallEncoder(Encoder):
    """Two convolutions with BatchNorm."""

    def __init__(self) -> None:
        super().__init__(
            preprocessing=Preprocessing(
                image_size=IMAGE_SIZE,
                resize="pad",
                interpolation="bilinear",
                mean=(0.5, 0.5, 0.5),
                std=(0.25, 0.25, 0.25),
                flip_averaging=False,
            ),
            feature_size=24,
            embedding_size=None,
        )
        self.network = nn.Sequential(
            nn.Conv2d(3, 12, kernel_size=3, stride=2),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 24, kernel_size=3, stride=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    @override
    def features(self, images: Tensor) -> Tensor:
        found: Tensor = self.network(images)
        return found


class SmallAlignedEncoder(SmallEncoder):
    """The same with a text side: five vectors that learn, a logit scale and a bias."""

    trains_text = True

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(5, self.embedding_size)
        self.logit_scale = nn.Parameter(torch.tensor(2.0))
        self.logit_bias = nn.Parameter(torch.tensor(-2.0))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """(T, D) unit embeddings of texts such as `text 3`."""
        return nn.functional.normalize(self.text_features(self.tokenize(texts)).detach(), dim=1)

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """(T,) number of each text."""
        places = torch.tensor([int(text.split()[1]) for text in texts])
        return {"places": sent(places, self.logit_scale.device)}

    def text_features(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """(T, D) embeddings of tokenized texts, with gradients."""
        found: Tensor = self.words(tokens["places"])
        return found
