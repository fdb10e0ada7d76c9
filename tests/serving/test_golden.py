"""Pictures that fingerprint an embedding space."""

import numpy as np
import pytest

from simtrain.serving.golden import golden_images


@pytest.mark.parametrize("size", [4, 8, 33, 224])
def test_golden_images_are_four_different_pictures_without_randomness(size: int) -> None:
    images = golden_images(size)
    assert images.shape == (4, size, size, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, golden_images(size))
    assert len({image.tobytes() for image in images}) == 4
    assert all(len(np.unique(image.reshape(-1, 3), axis=0)) >= 2 for image in images)
