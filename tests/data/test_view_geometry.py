"""Where the pixels of a view come from, against the same geometry by albumentations' matrices and by areas."""

# Shapes: S = side of a view.

import albumentations as A
import albumentations.augmentations.geometric.functional as geometry
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from simtrain.data.presets import Border
from simtrain.data.view_draws import WHOLE, Box, Move, ViewDraw
from simtrain.data.view_geometry import cut, framed
from simtrain.encoders.preprocessing import Preprocessing, Resize

CROP = Box(left=0.2, top=0.1, width=0.5, height=0.7)
MOVE = Move(degrees=12.0, zoom=(1.1, 0.9), shift=(0.05, -0.08))


def ramps(side: int) -> NDArray[np.uint8]:
    """Red tells the column, green the row, from 20 to 220."""
    ramp = np.linspace(20, 220, side)
    picture = np.zeros((side, side, 3))
    picture[..., 0], picture[..., 1], picture[..., 2] = ramp, ramp[:, None], 128
    return np.rint(picture).astype(np.uint8)


def drawn(*, crop: Box = WHOLE, mirrored: bool = False, move: Move | None = None) -> ViewDraw:
    return ViewDraw(crop=crop, mirrored=mirrored, move=move, colors=(), blur=0, hole=None)


def by_steps(picture: NDArray[np.uint8], draw: ViewDraw, *, side: int) -> NDArray[np.uint8]:
    """Mirror, move, crop and resize, one after another, by albumentations on the picture's own pixels."""
    own = len(picture)
    if draw.mirrored:
        picture = np.ascontiguousarray(picture[:, ::-1])
    if draw.move is not None:
        shift = {"x": draw.move.shift[0] * own, "y": draw.move.shift[1] * own}
        zoom = {"x": draw.move.zoom[0], "y": draw.move.zoom[1]}
        middle = geometry.center((own, own))
        matrix = geometry.create_affine_transformation_matrix(shift, {"x": 0, "y": 0}, zoom, draw.move.degrees, middle)
        picture = geometry.warp_affine(
            picture, matrix, cv2.INTER_LINEAR, (255, 255, 255), cv2.BORDER_CONSTANT, (own, own)
        )
    box = draw.crop
    left, top = round(box.left * own), round(box.top * own)
    right, bottom = round((box.left + box.width) * own), round((box.top + box.height) * own)
    crop = A.Compose([A.Crop(left, top, right, bottom), A.Resize(side, side, interpolation=cv2.INTER_AREA)])
    return np.asarray(crop(image=picture)["image"])


@pytest.mark.parametrize("own", [400, 240, 100])
@pytest.mark.parametrize(
    "draw",
    [
        drawn(),
        drawn(mirrored=True),
        drawn(crop=CROP),
        drawn(crop=CROP, mirrored=True),
        drawn(move=MOVE),
        drawn(move=MOVE, mirrored=True),
        drawn(move=MOVE, crop=CROP, mirrored=True),
    ],
)
def test_one_map_is_the_steps_one_after_another(draw: ViewDraw, own: int) -> None:
    picture = ramps(own)
    now = cut(picture, draw, side=100, crop_first=False, border="white").astype(int)
    before = by_steps(picture, draw, side=100).astype(int)
    inside = (np.abs(now[..., 2] - 128) < 2) & (np.abs(before[..., 2] - 128) < 2)  # of the picture, both ways
    assert inside.mean() > 0.7 if draw.move else inside.all()
    assert (inside ^ (before[..., 2] < 190)).mean() < 0.03
    difference = np.abs(now - before)[inside]
    assert difference.mean() < 1.0  # of 200 levels over the picture: half a pixel of the view
    assert np.quantile(difference, 0.99) <= 3


def test_a_crop_that_comes_first_has_its_border_beside_it() -> None:
    picture = np.zeros((100, 100, 3), dtype=np.uint8)
    picture[20:60, 20:60] = 200
    crop = Box(left=0.2, top=0.2, width=0.4, height=0.4)
    away = Move(degrees=0, zoom=(1, 1), shift=(0.5, 0))
    first = cut(picture, drawn(crop=crop, move=away), side=40, crop_first=True, border="replicate")
    last = cut(picture, drawn(crop=crop, move=away), side=40, crop_first=False, border="replicate")
    assert (first == 200).all()
    assert (last[:, :10] == 0).all()


@pytest.mark.parametrize("border", ["own_color", "replicate", "reflect"])
def test_a_picture_of_one_pixel_has_views(border: Border) -> None:
    pixel = np.full((1, 1, 3), 77, dtype=np.uint8)
    for draw in (drawn(crop=CROP), drawn(move=MOVE)):
        assert cut(pixel, draw, side=8, crop_first=False, border=border)[4, 4].tolist() == [77, 77, 77]


@pytest.mark.parametrize("resize", ["pad", "crop", "squash"])
@pytest.mark.parametrize(("height", "width"), [(60, 40), (40, 60), (50, 50), (333, 40), (90, 1200)])
def test_a_frame_stretched_to_a_square_is_the_square_of_the_encoder(resize: Resize, height: int, width: int) -> None:
    down, across = np.mgrid[0:height, 0:width]
    image = np.stack([255 * across / width, 255 * down / height, np.full((height, width), 9)], axis=2).astype(np.uint8)
    preprocessing = Preprocessing(
        image_size=100, resize=resize, interpolation="bilinear", mean=(0, 0, 0), std=(1, 1, 1), flip_averaging=False
    )
    frame = framed(image, resize=resize, side=200)
    stretched = cv2.resize(frame, (100, 100), interpolation=cv2.INTER_AREA).astype(int)
    difference = np.abs(stretched - preprocessing.square(image, side=100))
    assert np.quantile(difference, 0.8) <= 4  # all but where the picture meets its margin


@pytest.mark.parametrize(("height", "width", "resize"), [(4000, 300, "pad"), (300, 4000, "squash"), (900, 900, "crop")])
def test_a_frame_has_no_more_than_half_as_many_pixels_again(height: int, width: int, resize: Resize) -> None:
    frame = framed(np.zeros((height, width, 3), dtype=np.uint8), resize=resize, side=100)
    assert max(frame.shape[:2]) <= 150
    small = np.zeros((30, 20, 3), dtype=np.uint8)
    assert max(framed(small, resize=resize, side=100).shape) <= 30


def test_fine_patterns_are_averaged_and_not_left_out() -> None:
    checks = (255 * (np.indices((800, 800)).sum(axis=0) % 2)).astype(np.uint8)
    picture = np.repeat(checks[..., None], 3, axis=2)
    for draw in (drawn(), drawn(crop=CROP), drawn(move=MOVE), drawn(move=MOVE, crop=CROP)):
        view = cut(picture, draw, side=100, crop_first=False, border="reflect")
        assert np.abs(view.astype(int) - 127).max() <= 3
