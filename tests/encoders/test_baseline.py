"""Colours against published values, OpenCV and colorsys; histograms and pixels against numpy."""

# Shapes: N images, S = image_size, B bins per channel.

import colorsys
from typing import Literal

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simtrain.encoders.base import Encoder
from simtrain.encoders.baseline import HistogramEncoder, PixelsEncoder, rgb_to_hsv, rgb_to_lab

SIZE = 8


def random_colours(count: int, *, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((count, 3)).astype(np.float32)


def random_images(count: int, *, size: int = SIZE) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def histogram(space: Literal["lab", "hsv"] = "lab", *, bins: int = 4) -> HistogramEncoder:
    return HistogramEncoder(space=space, bins=bins, image_size=SIZE, resize="squash")


def embed(encoder: Encoder, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return encoder.embed_pixels(torch.from_numpy(images)).numpy().astype(np.float64)


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [  # sRGB under D65, as Lindbloom's calculator gives them
        ((1.0, 0.0, 0.0), (53.2408, 80.0925, 67.2032)),
        ((0.0, 1.0, 0.0), (87.7347, -86.1827, 83.1793)),
        ((0.0, 0.0, 1.0), (32.2970, 79.1875, -107.8602)),
        ((1.0, 1.0, 1.0), (100.0, 0.0, 0.0)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((0.5, 0.5, 0.5), (53.3890, 0.0, 0.0)),
    ],
)
def test_lab_of_known_colours(rgb: tuple[float, ...], lab: tuple[float, ...]):
    np.testing.assert_allclose(rgb_to_lab(torch.tensor(rgb)).numpy(), lab, atol=0.02)


def test_lab_equals_opencv():
    colours = random_colours(500, seed=1)
    expected = cv2.cvtColor(colours[None], cv2.COLOR_RGB2Lab)[0]
    np.testing.assert_allclose(rgb_to_lab(torch.from_numpy(colours)).numpy(), expected, atol=0.3)


def test_lab_of_dark_colours_is_linear():
    """Below the bends of both curves, L* is 903.3 · Y (CIE 15) and Y a weighted sum of channels / 12.92 (sRGB)."""
    colours = random_colours(200, seed=2) * np.float32(0.04)
    x, y, z = (
        np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ colours.T / 12.92
    )
    slope = 903.3 / 116
    expected = np.stack([903.3 * y, 500 * slope * (x / 0.9505 - y), 200 * slope * (y - z / 1.089)], axis=1)
    np.testing.assert_allclose(rgb_to_lab(torch.from_numpy(colours)).numpy(), expected, atol=0.01)


def test_hsv_equals_colorsys():
    corners = np.array(np.meshgrid([0, 0.5, 1], [0, 0.5, 1], [0, 0.5, 1]), dtype=np.float32).reshape(3, -1).T
    colours = np.concatenate([random_colours(300, seed=4), corners])
    expected = [colorsys.rgb_to_hsv(*map(float, colour)) for colour in colours]
    np.testing.assert_allclose(rgb_to_hsv(torch.from_numpy(colours)).numpy(), expected, atol=1e-5)


def lab_in_unit_cube(colour: NDArray[np.uint8]) -> NDArray[np.float64]:
    """OpenCV's Lab, scaled by the extent of sRGB (a -86.2 to 98.3, b -107.9 to 94.5)."""
    lightness, a, b = cv2.cvtColor(np.float32(colour[None, None]) / np.float32(255), cv2.COLOR_RGB2Lab)[0, 0]
    return np.array([lightness / 100, (a + 86.2) / 184.5, (b + 107.9) / 202.4], dtype=np.float64)


def hsv_in_unit_cube(colour: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.array(colorsys.rgb_to_hsv(*(colour / 255.0)))


@pytest.mark.parametrize("bins", [2, 5])
@pytest.mark.parametrize("space", ["lab", "hsv"])
def test_histogram_counts_pixels_by_colour(space: Literal["lab", "hsv"], bins: int):
    in_unit_cube = lab_in_unit_cube if space == "lab" else hsv_in_unit_cube
    candidates = random_images(6).reshape(-1, 3)
    scaled = np.array([in_unit_cube(colour) for colour in candidates]) * bins
    clear = np.abs(scaled - scaled.round()).min(axis=1) > 0.02  # not where rounding decides the bin
    colours = candidates[clear][: 2 * SIZE**2]
    images = colours.reshape(2, SIZE, SIZE, 3)
    counts = np.zeros((2, bins, bins, bins))
    for number, (first, second, third) in enumerate(scaled[clear][: 2 * SIZE**2].astype(int)):
        counts[number // SIZE**2, first, second, third] += 1
    expected = np.sqrt(counts.reshape(2, -1)) / SIZE  # SIZE² pixels make a vector of length SIZE
    np.testing.assert_allclose(embed(histogram(space, bins=bins), images), expected, atol=1e-6)


def test_cosine_of_histograms_is_the_bhattacharyya_coefficient():
    """A quarter red, the rest blue, against half red, the rest white: sqrt(1/4 · 1/2)."""
    red, blue, white = [255, 0, 0], [0, 0, 255], [255, 255, 255]
    pixels = SIZE**2
    first = [red] * (pixels // 4) + [blue] * (3 * pixels // 4)
    second = [red] * (pixels // 2) + [white] * (pixels // 2)
    images = np.array([first, second], dtype=np.uint8).reshape(2, SIZE, SIZE, 3)
    left, right = embed(histogram(), images)
    assert left @ right == pytest.approx((1 / 4 * 1 / 2) ** 0.5, abs=1e-6)


def test_histogram_ignores_where_colours_are():
    images = random_images(1)
    shuffled = np.random.default_rng(0).permutation(images.reshape(-1, 3)).reshape(images.shape)
    np.testing.assert_allclose(embed(histogram(), images), embed(histogram(), shuffled), atol=1e-6)


def test_pixels_are_centred_and_of_unit_length():
    images = random_images(3)
    flat = images.transpose(0, 3, 1, 2).reshape(3, -1).astype(np.float64)
    centred = flat - flat.mean(axis=1, keepdims=True)
    expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(embed(PixelsEncoder(image_size=SIZE, resize="pad"), images), expected, atol=1e-6)


@pytest.mark.parametrize("size", [8, 256])
@pytest.mark.parametrize("level", [0, 1, 77, 128, 254, 255])
def test_blank_image_is_a_constant_unit_vector(size: int, level: int):
    blank = np.full((1, size, size, 3), level, dtype=np.uint8)
    embedding = embed(PixelsEncoder(image_size=size, resize="pad"), blank)
    np.testing.assert_allclose(embedding, np.full((1, 3 * size**2), (3 * size**2) ** -0.5), rtol=1e-4)


def test_one_grey_level_in_one_pixel_is_a_pattern():
    image = np.full((1, 256, 256, 3), 200, dtype=np.uint8)
    image[0, 5, 7] = 201
    embedding = embed(PixelsEncoder(image_size=256, resize="pad"), image)[0].reshape(3, 256, 256)
    assert embedding[:, 5, 7] == pytest.approx(3**-0.5, abs=1e-3)


@pytest.mark.parametrize(
    ("encoder", "size"),
    [
        (PixelsEncoder(image_size=SIZE, resize="pad"), 3 * SIZE**2),
        (histogram("lab", bins=3), 27),
        (histogram("hsv", bins=16), 4096),
    ],
)
def test_embeddings_are_unit_rows_of_the_promised_length(encoder: Encoder, size: int):
    embeddings = encoder.embed_pixels(torch.from_numpy(random_images(4)))
    assert (encoder.embedding_size, embeddings.shape, embeddings.dtype) == (size, (4, size), torch.float32)
    np.testing.assert_allclose(np.linalg.norm(embeddings.numpy(), axis=1), 1, rtol=1e-6)


def test_baselines_have_nothing_to_train():
    assert list(histogram().parameters()) == histogram().new_parameters() == []
