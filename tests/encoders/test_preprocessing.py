"""Geometry by hand-placed pixels, resizing against torch's own antialiased filter, normalising against numpy."""

# Shapes: N images, H × W pixels as they came, S = image_size.

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import v2

from simtrain.encoders.preprocessing import Preprocessing

WHITE = 255
USUAL = Preprocessing(
    image_size=8,
    resize="pad",
    interpolation="bilinear",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    flip_averaging=False,
)


def preprocessing(**changes: Any) -> Preprocessing:
    return replace(USUAL, **changes)


def numbered(rows: list[list[int]]) -> NDArray[np.uint8]:
    """(H, W, 3) in which a pixel's channels are its number, that plus 100 and that plus 200."""
    return np.array(rows, dtype=np.uint8)[..., None] + np.array([0, 100, 200], dtype=np.uint8)


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


LANDSCAPE = numbered([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])
PORTRAIT = LANDSCAPE.transpose(1, 0, 2)


def test_pad_puts_white_above_and_below_a_wide_picture():
    framed = preprocessing(resize="pad").square(LANDSCAPE, side=5)
    assert framed.shape == (5, 5, 3)
    assert (framed[[0, 3, 4]] == WHITE).all()  # three rows are missing: one above, two below
    np.testing.assert_array_equal(framed[1:3], LANDSCAPE)


def test_pad_puts_white_beside_a_tall_picture():
    framed = preprocessing(resize="pad").square(PORTRAIT, side=5)
    assert framed.shape == (5, 5, 3)
    assert (framed[:, [0, 3, 4]] == WHITE).all()
    np.testing.assert_array_equal(framed[:, 1:3], PORTRAIT)


def test_crop_takes_the_middle_of_a_wide_picture():
    np.testing.assert_array_equal(preprocessing(resize="crop").square(LANDSCAPE, side=2), numbered([[2, 3], [7, 8]]))


def test_crop_takes_the_middle_of_a_tall_picture():
    np.testing.assert_array_equal(preprocessing(resize="crop").square(PORTRAIT, side=2), numbered([[2, 7], [3, 8]]))


def test_pad_keeps_the_proportions_of_what_it_shrinks():
    black = np.zeros((30, 60, 3), dtype=np.uint8)
    pixels = preprocessing(resize="pad", image_size=20).pixels(black)
    assert (pixels[:5] == WHITE).all()
    assert (pixels[5:15] == 0).all()
    assert (pixels[15:] == WHITE).all()


def test_a_long_picture_is_shrunk_before_it_is_padded(monkeypatch: pytest.MonkeyPatch):
    canvases = []
    full = np.full
    monkeypatch.setattr(np, "full", lambda shape, *rest, **named: canvases.append(shape) or full(shape, *rest, **named))
    assert preprocessing(resize="pad").pixels(noise(4, 5000)).shape == (8, 8, 3)
    assert canvases == [(8, 8, 3)]


@pytest.mark.parametrize("resize", ["pad", "crop", "squash"])
def test_square_of_the_right_size_is_left_as_it_is(resize: str):
    image = noise(8, 8)
    np.testing.assert_array_equal(preprocessing(resize=resize).pixels(image), image)


@pytest.mark.parametrize("resize", ["pad", "crop", "squash"])
@pytest.mark.parametrize(("height", "width"), [(5, 40), (40, 5), (3, 3), (1, 1)])
def test_pixels_are_a_square_of_the_right_size(resize: str, height: int, width: int):
    pixels = preprocessing(resize=resize).pixels(noise(height, width))
    assert (pixels.shape, pixels.dtype) == ((8, 8, 3), np.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(37, 61), (64, 16), (5, 7)])
def test_resize_is_the_antialiased_filter(interpolation: str, height: int, width: int):
    image = noise(height, width)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    for size in ((height, 8), (8, 8)):  # Pillow resizes rows, then columns, with whole levels after each
        planes = F.interpolate(planes, size=size, mode=interpolation, antialias=True).clamp(0, 255).round()
    pixels = preprocessing(resize="squash", interpolation=interpolation).pixels(image)
    np.testing.assert_allclose(pixels, planes[0].permute(1, 2, 0).numpy(), atol=1)


@pytest.mark.parametrize(("height", "width"), [(37, 61), (91, 30), (24, 240)])
def test_crop_is_that_of_torchvision(height: int, width: int):
    """Its transforms are those that the weights of torchvision, timm and transformers were trained with."""
    image = noise(height, width)
    shrink = v2.Compose([v2.Resize(8, interpolation=v2.InterpolationMode.BICUBIC), v2.CenterCrop(8)])
    pixels = preprocessing(resize="crop", interpolation="bicubic").pixels(image)
    np.testing.assert_array_equal(pixels, np.asarray(shrink(Image.fromarray(image))))


def test_crop_of_a_very_long_picture_shrinks_its_middle_only():
    image = np.zeros((4, 100_000, 3), dtype=np.uint8)
    image[:, 49_998:50_002] = WHITE
    assert (preprocessing(resize="crop", image_size=4).pixels(image) == WHITE).all()


def test_shrinking_averages_what_it_drops():
    checkerboard = np.indices((64, 64)).sum(axis=0) % 2 * 255
    image = np.repeat(checkerboard[..., None], 3, axis=2).astype(np.uint8)
    pixels = preprocessing(resize="squash").pixels(image)
    assert np.abs(pixels.astype(float) - 127.5).max() < 3  # picking single pixels would give 0 or 255


def test_pad_keeps_the_shape_of_what_it_shows():
    """A black bar of 20 × 80 in an 8 × 8 picture: two rows of black between white ones."""
    pixels = preprocessing(resize="pad").pixels(np.zeros((20, 80, 3), dtype=np.uint8))
    dark = pixels[..., 0].mean(axis=1) < 128
    np.testing.assert_array_equal(dark, [False] * 3 + [True] * 2 + [False] * 3)


def test_normalise_is_scaling_and_shifting_per_channel():
    pixels = np.stack([noise(8, 8), noise(9, 8)[1:]])
    expected = (pixels / 255.0 - np.array(USUAL.mean)) / np.array(USUAL.std)
    normalised = USUAL.normalise(torch.from_numpy(pixels))
    assert normalised.dtype == torch.float32
    np.testing.assert_allclose(normalised.numpy(), expected.transpose(0, 3, 1, 2), rtol=1e-5, atol=1e-6)


def test_normalised_images_lie_channels_last_in_memory():
    normalised = USUAL.normalise(torch.from_numpy(np.stack([noise(8, 8)] * 2)))
    assert normalised.is_contiguous(memory_format=torch.channels_last)


def test_dictionary_survives_json():
    values = json.loads(json.dumps(USUAL.to_dict()))
    assert values == {
        "image_size": 8,
        "resize": "pad",
        "interpolation": "bilinear",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    assert Preprocessing.from_dict(values) == USUAL


def test_dictionary_names_flip_averaging_where_there_is_some():
    """Without it the dictionary, and so the fingerprint of a bundle, is what it was before there was any."""
    averaging = replace(USUAL, flip_averaging=True)
    values = json.loads(json.dumps(averaging.to_dict()))
    assert values == {**json.loads(json.dumps(USUAL.to_dict())), "flip_averaging": True}
    assert Preprocessing.from_dict(values) == averaging


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": 0},
        {"image_size": True},
        {"image_size": 10**400},
        {"image_size": "8"},
        {"resize": "stretch"},
        {"interpolation": None},
        {"mean": ["a", "b", "c"]},
        {"mean": [0.5, 0.5]},
        {"mean": [0.5, 0.5, float("nan")]},
        {"mean": [10**400, 0.5, 0.5]},
        {"std": [0.5, 0.5, 0]},
        {"flip_averaging": 1},
        {"more": 1},
        {"std": None},
    ],
)
def test_what_another_program_wrote_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Preprocessing.from_dict({**USUAL.to_dict(), **changes})
