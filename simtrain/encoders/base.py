"""What every encoder is."""

# Shapes: N images, S = image_size, F features of the network, D dimensions of the embedding.

from abc import ABC, abstractmethod
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simtrain.encoders.preprocessing import Preprocessing


class Encoder(nn.Module, ABC):
    """A network from preprocessed images to embeddings.

    Args:
        preprocessing: How images are prepared for this network.
        feature_size: F, the length of what `features` returns.
        embedding_size: D; None keeps the features as they are, a number adds a linear layer from F to D, which starts
            orthogonal so that it keeps angles as well as a random map can.
    """

    def __init__(self, *, preprocessing: Preprocessing, feature_size: int, embedding_size: int | None) -> None:
        super().__init__()
        self.preprocessing = preprocessing
        self.embedding_size = feature_size if embedding_size is None else embedding_size
        self.reduction: nn.Module = nn.Identity()
        if embedding_size is not None:
            self.reduction = nn.Linear(feature_size, embedding_size, bias=False)
            nn.init.orthogonal_(self.reduction.weight)

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) normalised images -> (N, F) pooled features."""

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) normalised images -> (N, D) embeddings, not yet of unit length."""
        return cast(Tensor, self.reduction(self.features(images)))

    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) normalised images -> (N, D) float32 embeddings of unit length."""
        return F.normalize(self(images).float(), dim=1)

    def embed_pixels(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 pixels -> (N, D) embeddings of unit length, all in float32, without gradients."""
        convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]  # made at run time
        before = convolutions.fp32_precision
        convolutions.fp32_precision = "ieee"  # TensorFloat-32 would differ by more than a bundle's check allows
        try:
            with torch.inference_mode(), torch.autocast(pixels.device.type, enabled=False):
                return self.embed(self.preprocessing.normalise(pixels))
        finally:
            convolutions.fp32_precision = before

    def new_parameters(self) -> list[nn.Parameter]:
        """Parameters that no pretraining has seen, which a head's learning rate suits."""
        return list(self.reduction.parameters())
