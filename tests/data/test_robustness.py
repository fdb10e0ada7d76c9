"""Variants of a picture: what each does, by arithmetic and by PIL, and what it leaves alone."""

from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simtrain.data.robustness import (
    VARIANTS,
    Picture,
    brightened,
    cropped,
    grey,
    rebackgrounded,
    reencoded,
    rotated,
    white_background,
    wood,
)

MADE = {variant.name: variant for variant in VARIANTS}


def photograph(height: int = 90, width: int = 120) -> Picture:
    """Smooth colours from edge to edge."""
    down, across = np.mgrid[0:height, 0:width]
    channels = [across * 2, down * 2, 120 + 60 * np.sin(across / 9) * np.cos(down / 7)]
    return np.stack(channels, axis=2).clip(0, 255).astype(np.uint8)


def packshot() -> Picture:
    """A red frame with a white hole and a white patch, on white: (60, 60, 3)."""
    picture = np.full((60, 60, 3), 255, dtype=np.uint8)
    picture[15:45, 15:45] = (200, 30, 30)
    picture[25:35, 20:28] = 255
    return picture


def psnr(one: Picture, other: Picture) -> float:
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def test_the_list_is_what_the_figures_are_called() -> None:
    assert list(MADE) == [
        "rotated_10",
        "cropped_centre_80",
        "cropped_corner_80",
        "jpeg_40",
        "on_grey",
        "on_wood",
        "darker_30",
        "brighter_15",
    ]
    assert len({variant.words for variant in VARIANTS}) == len(VARIANTS)


@pytest.mark.parametrize("name", list(MADE))
def test_a_variant_is_another_picture_and_the_same_one_each_time(name: str) -> None:
    picture = packshot()
    before = picture.copy()
    first, second = MADE[name].apply(picture), MADE[name].apply(picture)
    assert first is not None
    assert second is not None
    assert first.dtype == np.uint8
    assert first.ndim == 3
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(picture, before)
    assert first.shape != picture.shape or (first != picture).any()


@pytest.mark.parametrize("name", list(MADE))
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 7, 3), (300, 200, 3)])
def test_a_variant_is_made_of_any_size(name: str, shape: tuple[int, int, int]) -> None:
    made = MADE[name].apply(np.full(shape, 255, dtype=np.uint8))
    assert made is not None
    assert made.shape == (shape if "cropped" not in name else (max(1, round(shape[0] * 0.8)), round(shape[1] * 0.8), 3))


def test_rotation_equals_that_of_pil() -> None:
    picture = photograph()
    expected = np.asarray(Image.fromarray(picture).rotate(10, resample=Image.Resampling.BILINEAR))
    middle = (slice(20, 70), slice(25, 95))
    assert psnr(rotated(picture, degrees=10)[middle], expected[middle]) > 40


def test_rotation_of_a_packshot_brings_in_nothing_but_white() -> None:
    picture = packshot()
    picture[:8, :12] = (20, 20, 200)  # touches the corner, which mirrored edges would double
    turned = rotated(picture, degrees=10)
    outside = np.ones(turned.shape[:2], dtype=bool)
    outside[10:50, 10:50] = False
    outside[:20, :20] = False
    assert (turned[outside] == 255).all()


def test_rotation_of_a_photograph_has_no_empty_corners() -> None:
    turned = rotated(np.maximum(photograph(), 60), degrees=10)
    assert turned.min() >= 60
    assert len(np.unique(turned[0].reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize(
    ("name", "rows", "columns"),
    [("cropped_centre_80", slice(9, 81), slice(12, 108)), ("cropped_corner_80", slice(18, 90), slice(24, 120))],
)
def test_crops_are_windows_of_the_picture(name: str, rows: slice, columns: slice) -> None:
    np.testing.assert_array_equal(MADE[name].apply(photograph()), photograph()[rows, columns])


def test_a_crop_lies_where_it_is_told_to() -> None:
    window = cropped(photograph(), share=0.5, across=0.0, down=1.0)
    np.testing.assert_array_equal(window, photograph()[45:, :60])


def test_reencoding_loses_what_jpeg_by_pil_loses() -> None:
    picture = photograph()
    file = BytesIO()
    Image.fromarray(picture).save(file, format="JPEG", quality=40, subsampling="4:2:0")
    by_pil = np.asarray(Image.open(file).convert("RGB"))
    by_us = reencoded(picture, quality=40)
    assert psnr(by_us, by_pil) > psnr(by_us, picture)
    assert psnr(by_us, picture) == pytest.approx(psnr(by_pil, picture), abs=0.5)
    assert psnr(reencoded(picture, quality=95), picture) > psnr(by_us, picture) + 3


def test_brightness_is_a_factor_that_ends_at_white() -> None:
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    np.testing.assert_array_equal(
        brightened(levels, factor=1.15), np.minimum(np.round(levels.astype(float) * 1.15), 255).astype(np.uint8)
    )
    np.testing.assert_array_equal(brightened(levels, factor=0.7), np.round(levels * np.float64(0.7)).astype(np.uint8))


def test_the_background_changes_and_the_product_does_not() -> None:
    picture = packshot()
    placed = rebackgrounded(picture, backdrop=grey)
    assert placed is not None
    background = np.ones((60, 60), dtype=bool)
    background[15:45, 15:45] = False
    np.testing.assert_array_equal(placed[background], grey(60, 60)[background])
    # One pixel of outline is darkened with the background, so that a blurred outline gets no halo.
    np.testing.assert_array_equal(placed[16:44, 16:44], picture[16:44, 16:44])
    np.testing.assert_array_equal(placed[15, 15], np.round(np.array([200, 30, 30]) * 150 / 255))


def test_white_inside_a_closed_outline_is_no_background() -> None:
    background = white_background(packshot())
    assert background is not None
    expected: NDArray[np.bool_] = np.ones((60, 60), dtype=bool)
    expected[15:45, 15:45] = False
    np.testing.assert_array_equal(background, expected)


def test_a_soft_shadow_stays_a_shadow() -> None:
    picture = packshot()
    picture[46:50, 15:45] = 245
    placed = rebackgrounded(picture, backdrop=grey)
    assert placed is not None
    np.testing.assert_array_equal(placed[47, 30], np.round(150 * np.array([245 / 255] * 3)))


def test_white_as_jpeg_leaves_it_is_still_white() -> None:
    saved = reencoded(packshot(), quality=75)
    assert saved[8:14].min() < 240
    background = white_background(saved)
    assert background is not None
    assert background[:8].all()
    assert background.sum() == pytest.approx(60 * 60 - 30 * 30, rel=0.1)
    assert not background[16:44, 16:20].any()


def test_a_light_speck_is_background_and_a_dark_one_is_not() -> None:
    picture = packshot()
    picture[4:7, 4:7], picture[4:7, 50:53] = 230, 150
    background = white_background(picture)
    assert background is not None
    assert background[4:7, 4:7].all()
    assert not background[4:7, 50:53].any()


def test_a_picture_without_a_white_background_gets_no_other_one() -> None:
    for picture in (photograph(), np.zeros((9, 9, 3), dtype=np.uint8), np.full((9, 9, 3), (255, 255, 225), np.uint8)):
        assert MADE["on_grey"].apply(picture) is None
        assert MADE["on_wood"].apply(picture) is None
        assert all(variant.apply(picture) is not None for variant in VARIANTS if not variant.name.startswith("on_"))


def test_wood_is_the_same_boards_at_every_size() -> None:
    small, large = wood(64, 64), wood(256, 256)
    shrunk = np.asarray(Image.fromarray(large).resize((64, 64), Image.Resampling.BOX))
    assert psnr(small, shrunk) > 40
    assert large.std(axis=(0, 1)).min() > 3
    assert (large[..., 0] > large[..., 2]).all()


@pytest.mark.parametrize("name", list(MADE))
@pytest.mark.parametrize(
    ("picture", "found"),
    [
        (np.zeros((5, 5), dtype=np.uint8), r"uint8 of shape \(5, 5\)"),
        (np.zeros((5, 5, 4), dtype=np.uint8), r"uint8 of shape \(5, 5, 4\)"),
        (np.zeros((5, 5, 3)), r"float64 of shape \(5, 5, 3\)"),
        (np.zeros((0, 5, 3), dtype=np.uint8), r"uint8 of shape \(0, 5, 3\)"),
    ],
)
def test_wrong_input_is_named(name: str, picture: Picture, found: str) -> None:
    with pytest.raises(ValueError, match=f"^image is {found}; allowed: uint8 of shape \\(H, W, 3\\)$"):
        MADE[name].apply(picture)
