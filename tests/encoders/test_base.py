"""What every encoder does with images to embed: averaging over mirror images, views of another size."""

# Shapes: N images, S = 16, D = 12.

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import SIZE, TinyEncoder

from simtrain.encoders.whitening import Whitening

PIXELS = torch.randint(0, 256, (5, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_flip_averaging_is_the_unit_mean_of_both_embeddings():
    encoder = TinyEncoder().eval()
    mirrored = torch.from_numpy(PIXELS.numpy()[:, :, ::-1].copy())
    both = encoder.embed_pixels(PIXELS).numpy() + encoder.embed_pixels(mirrored).numpy()
    encoder.preprocessing = replace(encoder.preprocessing, flip_averaging=True)
    expected = both / np.linalg.norm(both, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.embed_pixels(PIXELS).numpy(), expected, atol=1e-6)


def test_mirror_images_have_one_embedding_under_flip_averaging():
    encoder = TinyEncoder().eval()
    encoder.preprocessing = replace(encoder.preprocessing, flip_averaging=True)
    torch.testing.assert_close(encoder.embed_pixels(PIXELS.flip(2)), encoder.embed_pixels(PIXELS), atol=1e-6, rtol=0)


def test_training_is_without_flip_averaging():
    encoder = TinyEncoder().eval()
    before = encoder(encoder.preprocessing.normalise(PIXELS))
    encoder.preprocessing = replace(encoder.preprocessing, flip_averaging=True)
    assert torch.equal(encoder(encoder.preprocessing.normalise(PIXELS)), before)


def test_whitening_comes_last_and_not_in_training():
    encoder = TinyEncoder().eval()
    plain, training = encoder.embed_pixels(PIXELS), encoder(encoder.preprocessing.normalise(PIXELS))
    whitening = Whitening(mean=torch.full((12,), 0.1), projection=torch.arange(36.0).reshape(12, 3).sin())
    encoder.whiten(whitening)
    expected = (plain.numpy() - 0.1) @ whitening.projection.numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.embed_pixels(PIXELS).numpy(), expected, atol=1e-6)
    assert encoder.embedding_size == 3
    assert torch.equal(encoder(encoder.preprocessing.normalise(PIXELS)), training)
    with pytest.raises(ValueError, match="there is a whitening already"):
        encoder.whiten(whitening)


def test_whitening_of_another_length_is_refused():
    with pytest.raises(ValueError, match="whitening is of embeddings of 5 dimensions; these have 12"):
        TinyEncoder().whiten(Whitening(mean=torch.zeros(5), projection=torch.eye(5)))


def test_training_views_keep_their_size():
    encoder = TinyEncoder()
    encoder.preprocessing = replace(encoder.preprocessing, image_size=24, resize="squash")
    assert (encoder.training_image_size, encoder.training_preprocessing.image_size) == (SIZE, SIZE)
    assert encoder.training_preprocessing.resize == "squash"
