"""What a device needs to make views of pictures: for each view a map into its picture, and what changes, as numbers."""

# Shapes: B samples, V views of each, U pictures of each, K changes of colour in a row, H × W pixels of a picture,
# S = side of a view.

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.data.presets import AugmentationParts, Border
from simtrain.data.view_colors import LEAST_BLUR, REACH, hole_pixels
from simtrain.data.view_draws import WHOLE, Box, ColorChange, ViewDraw
from simtrain.data.view_geometry import (
    MIRROR,
    filling,
    halvings,
    mirrored_box,
    of_box,
    pixels_of_box,
    to_square_of,
)

Picture = NDArray[np.uint8]
Matrix = NDArray[np.float64]

CHANGES = 5
"""Most changes of colour in a row, K: contrast, brightness, saturation and grey, and one to spare."""

KINDS = ("none", "contrast_brightness", "brightness", "contrast", "saturation", "grey")
"""Kind of a change of colour -> its number in `ViewPlan.colors`. A change of hue parts two rows of them."""


@dataclass(frozen=True, kw_only=True)
class ViewPlan:
    """What is made of a batch's pictures, view by view.

    Attributes:
        border: What a moved view shows beside its picture.
        widest_blur: Pixels of the widest window of a blur, odd.
        side: S.
        reach: Pixels on either side that the widest blur of these views looks at; 0: none is blurred.
        turns_hue: Whether any view's hue is turned.
        merged: (B, V, 2) int64, on the host: rows and columns of the picture that become one before it is sampled.
        picture: (B, V) int64 number of the picture among its sample's.
        maps: (B, V, 2, 3) float32, from column, row and 1 of a view's pixel to column and row in the merged picture,
            both 0 at the centre of the first pixel.
        box: (B, V, 4) float32 least column and row that are shown of the merged picture, and the largest ones.
        moved: (B, V) bool, whether what lies beyond the box is the border, and not the box's edge.
        filling: (B, V, 3) float32 colour of the border, levels of 0..255.
        colors: (B, V, 2, K, 3) float32 changes before and after that of hue: number in `KINDS`, amount, offset.
        hue: (B, V) float32 turn of the hue as a share of the circle; 0: none.
        blur: (B, V) float32 standard deviation of a Gaussian blur in pixels; 0: none.
        hole: (B, V, 4) int64 first row and column of a black part, and those behind its last; all 0: none.
    """

    border: Border
    widest_blur: int
    side: int
    reach: int
    turns_hue: bool
    merged: Tensor
    picture: Tensor
    maps: Tensor
    box: Tensor
    moved: Tensor
    filling: Tensor
    colors: Tensor
    hue: Tensor
    blur: Tensor
    hole: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> "ViewPlan":
        """The plan with every tensor but `merged` changed."""
        changed: dict[str, Any] = {name: change(getattr(self, name)) for name in _ON_DEVICE}
        return replace(self, **changed)


_ON_DEVICE = ("picture", "maps", "box", "moved", "filling", "colors", "hue", "blur", "hole")


class _Geometry(NamedTuple):
    merged: tuple[int, int]
    map: Matrix
    box: tuple[float, float, float, float]
    filling: tuple[float, ...]


def view_plan(
    pictures: Sequence[Sequence[Picture]],
    numbers: Sequence[Sequence[int]],
    draws: Sequence[Sequence[ViewDraw]],
    *,
    parts: AugmentationParts,
    side: int,
) -> ViewPlan:
    """The plan of a batch.

    Args:
        pictures: For each of B samples its (H, W, 3) RGB pictures, as `framed` made them.
        numbers: For each sample the picture of each of its V views, by its number.
        draws: For each sample what its V views draw.
        parts: The parts that they were drawn from.
        side: Side of a view, S.
    """
    views = [
        [_geometry(own[number], draw, parts=parts, side=side) for number, draw in zip(chosen, drawn, strict=True)]
        for own, chosen, drawn in zip(pictures, numbers, draws, strict=True)
    ]
    colors = [[_colors(draw.colors) for draw in drawn] for drawn in draws]
    hues = [[sum(one.amount for one in draw.colors if one.kind == "hue") for draw in drawn] for drawn in draws]
    blurs = [[draw.blur if draw.blur >= LEAST_BLUR else 0.0 for draw in drawn] for drawn in draws]
    holes = [[hole_pixels(draw.hole, side=side) if draw.hole else (0, 0, 0, 0) for draw in drawn] for drawn in draws]
    widest = widest_blur(side)
    return ViewPlan(
        border=parts.border,
        widest_blur=widest,
        side=side,
        reach=min(widest // 2, math.ceil(REACH * max(map(max, blurs)))),
        turns_hue=any(map(any, hues)),
        merged=torch.tensor([[one.merged for one in row] for row in views]),
        picture=torch.tensor(numbers),
        maps=_float32([[one.map[:2] for one in row] for row in views]),
        box=_float32([[one.box for one in row] for row in views]),
        moved=torch.tensor([[draw.move is not None for draw in drawn] for drawn in draws]),
        filling=_float32([[one.filling for one in row] for row in views]),
        colors=_float32(colors),
        hue=_float32(hues),
        blur=_float32(blurs),
        hole=torch.tensor(holes),
    )


def joined_pictures(pictures: Sequence[Sequence[Picture]]) -> Tensor:
    """(B, U, H, W, 3) uint8: pictures of several sizes at the upper left; beside and below them their last pixels."""
    height = max(picture.shape[0] for own in pictures for picture in own)
    width = max(picture.shape[1] for own in pictures for picture in own)
    count = max(len(own) for own in pictures)
    joined = np.empty((len(pictures), count, height, width, 3), dtype=np.uint8)
    for sample, own in enumerate(pictures):
        for number in range(count):
            picture = own[min(number, len(own) - 1)]
            place, (tall, wide) = joined[sample, number], picture.shape[:2]
            place[:tall, :wide] = picture
            place[:tall, wide:] = picture[:, -1:]
            place[tall:] = place[tall - 1]
    return torch.from_numpy(joined)


def stacked_pictures(batches: Sequence[Tensor], *, pin_memory: bool) -> Tensor:
    """(b, U, H, W, 3) pictures of parts of a batch -> those of the whole, the smaller ones filled as `joined_pictures`.

    Args:
        batches: Parts, whose pictures differ in size, each with the same U.
        pin_memory: Whether the whole lies in page-locked memory, for a GPU.
    """
    height, width = (max(batch.shape[axis] for batch in batches) for axis in (2, 3))
    shape = (sum(len(batch) for batch in batches), batches[0].shape[1], height, width, 3)
    whole = torch.empty(shape, dtype=torch.uint8, pin_memory=pin_memory)
    for place, batch in zip(torch.split(whole, [len(batch) for batch in batches]), batches, strict=True):
        tall, wide = batch.shape[2:4]
        place[:, :, :tall, :wide] = batch
        place[:, :, :tall, wide:] = batch[:, :, :, -1:]
        place[:, :, tall:] = place[:, :, tall - 1 : tall]
    return whole


def joined_plans(plans: Sequence[ViewPlan]) -> ViewPlan:
    """The plan of a batch whose parts have these plans."""
    joined: dict[str, Any] = {
        name: torch.cat([getattr(plan, name) for plan in plans]) for name in ("merged", *_ON_DEVICE)
    }
    reach, turns_hue = max(plan.reach for plan in plans), any(plan.turns_hue for plan in plans)
    return replace(plans[0], reach=reach, turns_hue=turns_hue, **joined)


def widest_blur(side: int) -> int:
    """Pixels of the widest window of a blur: a tenth of a view's side, as in SimCLR, odd."""
    return max(3, side // 10 | 1)


def _geometry(picture: Picture, draw: ViewDraw, *, parts: AugmentationParts, side: int) -> _Geometry:
    """The map of `view_geometry.cut`; a crop and a move are one resampling, not two, where the crop comes first."""
    height, width = picture.shape[:2]
    whole = draw.move is not None and not parts.crop_first
    crop = mirrored_box(draw.crop) if draw.move is None and draw.mirrored and not parts.crop_first else draw.crop
    left, top, right, bottom = pixels_of_box(WHOLE if whole else crop, height=height, width=width)
    to_unit = to_square_of(draw.move, crop=draw.crop if whole else WHOLE, side=side)
    if draw.mirrored:
        to_unit = MIRROR @ to_unit if whole or draw.move is not None else to_unit @ _flipped_columns(side)
    shown = Box(left=left / width, top=top / height, width=(right - left) / width, height=(bottom - top) / height)
    to_picture = np.diag([width, height, 1.0]) @ of_box(shown) @ to_unit  # edges of the first pixel are at 0
    across, down = np.linalg.norm(to_picture[:2, :2], axis=1)
    rows, columns = min(halvings(down), bottom - top), min(halvings(across), right - left)
    scaled = np.diag([1 / columns, 1 / rows, 1.0]) @ to_picture
    scaled[:2, 2] -= 0.5
    most = left / columns + (right - left) // columns - 1, top / rows + (bottom - top) // rows - 1
    inner = picture[top:bottom, left:right]
    color = filling(inner, parts.border) if draw.move is not None else (0.0, 0.0, 0.0)
    return _Geometry(merged=(rows, columns), map=scaled, box=(left / columns, top / rows, *most), filling=color)


def _flipped_columns(side: int) -> Matrix:
    return np.array([[-1.0, 0, side - 1], [0, 1, 0], [0, 0, 1]])


def _colors(changes: Sequence[ColorChange]) -> Matrix:
    """(2, K, 3), see `ViewPlan.colors`."""
    numbers = np.zeros((2, CHANGES, 3))
    row, place = 0, 0
    for change in changes:
        if change.kind == "hue":
            row, place = 1, 0
            continue
        numbers[row, place] = KINDS.index(change.kind), change.amount, change.offset
        place += 1
    return numbers


def _float32(values: Sequence[object]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
