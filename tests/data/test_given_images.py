"""Images that a caller hands over."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simtrain.catalog.images import read_image
from simtrain.data.given_images import GivenImages

GENERATOR = np.random.default_rng(0)


def test_a_file_a_pil_image_and_an_array_of_one_picture_are_equal(tmp_path: Path):
    pixels = GENERATOR.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    reader = GivenImages(images=[path, str(path), Image.open(path), pixels])
    for row in range(4):
        np.testing.assert_array_equal(reader.read(row, at_least=None), pixels)


def test_a_pil_image_is_turned_and_laid_on_white_like_its_file(tmp_path: Path):
    pixels = GENERATOR.integers(0, 256, (6, 4, 4), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path, exif=exif)
    found = GivenImages(images=[Image.open(path)]).read(0, at_least=None)
    assert found.shape == (4, 6, 3)
    np.testing.assert_array_equal(found, read_image(path))


def test_grey_arrays_become_three_equal_channels():
    grey = GENERATOR.integers(0, 256, (5, 3), dtype=np.uint8)
    found = GivenImages(images=[grey]).read(0, at_least=None)
    assert found.shape == (5, 3, 3)
    assert all((found[:, :, channel] == grey).all() for channel in range(3))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3)), r"images\[0\] is float64 of shape \(4, 4, 3\); allowed: uint8 of shape"),
        (np.zeros((4, 4, 4), dtype=np.uint8), r"images\[0\] is uint8 of shape \(4, 4, 4\); allowed"),
        (7, r"images\[0\] is int; allowed: a path, a uint8 array or a PIL image"),
    ],
)
def test_what_is_no_image_is_refused(image: object, message: str):
    with pytest.raises(ValueError, match=message):
        GivenImages(images=[image]).read(0, at_least=None)  # type: ignore[list-item]
