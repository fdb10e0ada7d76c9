"""Any `nn.Module` from images to vectors, as an encoder."""

# Shapes: N images, S = image_size, D dimensions.

import torch
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing


class ModuleEncoder(Encoder):
    """A network of one's own between our preprocessing and our embeddings.

    Args:
        network: Maps (N, 3, S, S) normalised images to (N, D) vectors.
        preprocessing: How images are prepared for it.

    Raises:
        ValueError: if the network gives something else for two images of the preprocessing's size.
    """

    def __init__(self, *, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__(
            preprocessing=preprocessing,
            feature_size=_output_size(network, image_size=preprocessing.image_size),
            embedding_size=None,
        )
        self.network = network

    @override
    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.network(images)
        return features


def _output_size(network: nn.Module, *, image_size: int) -> int:
    """D, of a trial with two grey images that leaves the network's mode and statistics as they were."""
    parameter = next(network.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    was_training = network.training
    try:
        with torch.no_grad():
            output = network.eval()(torch.zeros(2, 3, image_size, image_size, device=device))
    finally:
        network.train(was_training)
    if not isinstance(output, Tensor) or output.ndim != 2 or output.shape[0] != 2:
        got = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(
            f"network: (2, 3, {image_size}, {image_size}) images gave {got}; allowed: (2, D), a vector for each"
        )
    return int(output.shape[1])
