"""A bundle's `encoder.onnx` in the place of its encoder, for bundles whose encoder is code of somebody's own."""

# Shapes: N images, S = image_size, D dimensions of the embedding.

from pathlib import Path

import torch
from torch import Tensor
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.files import sha256_of_bytes
from simtrain.serving.onnx_runtime import OnnxEncoder


class OnnxBundleEncoder(Encoder):
    """Embeds as the bundle's encoder does, mirror images and whitening included; it has no weights and needs no code.

    Args:
        path: The bundle's ONNX file, for messages.
        content: Of that file.
        preprocessing: The bundle's.
        embedding_size: D.

    Attributes:
        behaviour: A name for what the file does: its SHA-256.

    Raises:
        BundleError: if onnxruntime cannot open the file.
    """

    def __init__(self, *, path: Path, content: bytes, preprocessing: Preprocessing, embedding_size: int) -> None:
        super().__init__(preprocessing=preprocessing, feature_size=embedding_size, embedding_size=None)
        self._onnx = OnnxEncoder(path=path, content=content)
        self.behaviour = sha256_of_bytes(content)

    @override
    def features(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self._onnx.embed(images.cpu().numpy()))

    @override
    def embed(self, images: Tensor) -> Tensor:
        return self.features(images)
