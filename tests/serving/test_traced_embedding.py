"""`embed` as `forward`."""

import logging
import warnings

import pytest
import torch

from simtrain.encoders.baseline import PixelsEncoder
from simtrain.serving.traced_embedding import TracedEmbedding, example_images, quiet_exporter


def test_forward_is_embed() -> None:
    encoder = PixelsEncoder(image_size=8, resize="pad").eval()
    images = example_images(encoder)
    assert images.shape == (3, 3, 8, 8)
    torch.testing.assert_close(TracedEmbedding(encoder=encoder)(images), encoder.embed(images), rtol=0, atol=0)


def test_remarks_of_the_exporter_are_kept_back_and_others_come_back(recwarn: pytest.WarningsRecorder) -> None:
    level = logging.getLogger("torch.export").level
    with quiet_exporter():
        warnings.warn("of torch", stacklevel=1)
        assert not logging.getLogger("torch.export").isEnabledFor(logging.WARNING)
    assert not recwarn.list
    assert logging.getLogger("torch.export").level == level
