"""What the exporters of torch look at: `embed` as `forward`, without their remarks."""

# Shapes: N images, S = image_size, D dimensions of the embedding.

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from typing_extensions import override

from simtrain.encoders.base import Encoder
from simtrain.serving.export_format import ExportedEncoder, check_equal

_CHATTY_LOGGERS = ("torch.onnx", "torch.export", "torch._dynamo", "onnxscript", "onnx_ir")


class TracedEmbedding(nn.Module):
    """(N, 3, S, S) normalised images -> (N, D) embeddings of unit length."""

    def __init__(self, *, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    @override
    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.encoder.embed(pixel_values)


def example_images(encoder: Encoder) -> Tensor:
    """(3, 3, S, S) random numbers, the same each time."""
    size = encoder.preprocessing.image_size
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))


def check_batches(encoder: Encoder, exported: ExportedEncoder, *, name: str, runtime: str) -> None:
    """Compare an exported encoder with torch on the first 1, 2 and 3 of the example images.

    Args:
        encoder: Encoder on the CPU, in evaluation mode.
        exported: The same, opened from its exported file.
        name: That file, for messages.
        runtime: What runs it, for messages.

    Raises:
        BundleError: if a number of an embedding differs by more than `TOLERANCE`.
    """
    images = example_images(encoder)
    for count in range(1, len(images) + 1):
        with torch.inference_mode():
            expected = encoder.embed(images[:count]).numpy()
        check_equal(expected, exported.embed(images[:count].numpy()), name=name, runtime=runtime)


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """The exporter warns about its own use of torch; nothing of that is for whoever exports a bundle."""
    loggers = [logging.getLogger(name) for name in _CHATTY_LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
