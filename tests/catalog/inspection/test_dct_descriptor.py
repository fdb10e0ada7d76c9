"""The numbers that describe a picture: what they are of waves, of crops and of mirror images."""

import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.catalog.inspection.dct_descriptor import CROPS, NUDGES, STEPS, descriptions, moves
from simtrain.catalog.inspection.fingerprint import COLOUR_SIDE, FINGERPRINT_BYTES, GREY_SIDE, mirror_images


def print_of(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(1, `FINGERPRINT_BYTES`) of a colourless picture."""
    sides = np.array([288, 288], dtype="<u2").view(np.uint8)
    colours = np.full(2 * COLOUR_SIDE**2, 128, np.uint8)
    return np.concatenate([sides, np.rint(grey).astype(np.uint8).ravel(), colours])[None]


def bumps(*, share: float, down: float, right: float) -> NDArray[np.float64]:
    """A few soft bumps, or what a crop of that share, its centre moved by so many pixels, shows of them."""
    offsets = (np.arange(GREY_SIDE) - (GREY_SIDE - 1) / 2) * share
    middle = (GREY_SIDE - 1) / 2
    rows, columns = (offsets + middle + down)[:, None], (offsets + middle + right)[None]
    grey = np.full((GREY_SIDE, GREY_SIDE), 90.0)
    for row, column, height in ((8, 6, 80), (22, 19, 120), (13, 26, -60)):
        grey += height * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 50)
    return grey


def described(grey: NDArray[np.float64], *, crop: int = 0, mirrored: bool = False) -> NDArray[np.float64]:
    first = np.zeros(1, dtype=np.int64)
    return descriptions(print_of(grey), first, crop=CROPS[crop], mirrored=mirrored)[0].astype(float)


@pytest.mark.parametrize(("down", "right"), [(0, 3), (2, 1), (4, 0)])
def test_wave_is_one_number_of_its_root_mean_square(down: int, right: int) -> None:
    places = (np.arange(GREY_SIDE) + 0.5) / GREY_SIDE
    wave = np.outer(np.cos(np.pi * down * places), np.cos(np.pi * right * places))
    numbers = described(128 + 100 * wave)
    expected = STEPS * 100 * np.sqrt((wave**2).mean())
    assert np.abs(numbers).max() == pytest.approx(expected, abs=2)
    assert np.sort(np.abs(numbers))[-2] <= 2


@pytest.mark.parametrize("crop", range(len(CROPS)))
def test_crop_is_described_as_if_it_had_been_cut_out(crop: int) -> None:
    share, down, _, right = CROPS[crop].tolist()
    cut = described(bumps(share=share, down=down, right=right))
    whole = described(bumps(share=1, down=0, right=0))
    assert np.linalg.norm(described(bumps(share=1, down=0, right=0), crop=crop) - cut) < 0.1 * STEPS * 20
    assert crop == 0 or np.linalg.norm(whole - cut) > STEPS * 3


def test_moves_are_what_nudges_do() -> None:
    first = np.zeros(1, dtype=np.int64)
    moved = moves(print_of(bumps(share=1, down=0, right=0)), first, mirrored=False)[0]
    before = described(bumps(share=1, down=-NUDGES[1] / 2, right=0))
    after = described(bumps(share=1, down=NUDGES[1] / 2, right=0))
    assert np.linalg.norm(moved[1] - (after - before)) < 0.15 * np.linalg.norm(after - before)


def test_mirror_image_is_described_like_the_mirrored_fingerprint() -> None:
    grey, first = bumps(share=1, down=0, right=0), np.zeros(1, dtype=np.int64)
    flipped = descriptions(mirror_images(print_of(grey)), first, crop=CROPS[3], mirrored=False)
    assert descriptions(print_of(grey), first, crop=CROPS[3], mirrored=True).tolist() == flipped.tolist()
    assert print_of(grey).shape == (1, FINGERPRINT_BYTES)
