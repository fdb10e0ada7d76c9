"""What every encoder does with images to embed: averaging over mirror images, views of another size."""

# Shapes: N images, S = 16, D = 12.

from dataclasses import replace

import numpy as np
import torch
from tiny_training import SIZE, TinyEncoder

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


def test_training_views_keep_their_size():
    encoder = TinyEncoder()
    encoder.preprocessing = replace(encoder.preprocessing, image_size=24, resize="squash")
    assert (encoder.training_image_size, encoder.training_preprocessing.image_size) == (SIZE, SIZE)
    assert encoder.training_preprocessing.resize == "squash"
