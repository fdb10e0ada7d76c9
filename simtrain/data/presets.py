"""Named augmentation presets, and the parts that each is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

Preset = Literal["affine", "color_sensitive", "color_invariant", "simclr"]
Border = Literal["white", "own_color", "replicate", "reflect"]
Color = Literal["none", "light", "mild", "all_hues", "simclr"]


@dataclass(frozen=True, kw_only=True)
class AugmentationParts:
    """What changes in a view.

    Attributes:
        crop_first: A view is cropped before it is mirrored and moved, as in SimCLR, rather than after.
        moved: Share of the views that are turned, zoomed and shifted, 0 to 1.
        flip: Half of the views are mirrored, left for right.
        rotation: Largest turn in degrees, either way, 0 to 180; 0: none.
        zoom: Largest change of width and height, each by itself, as a share, 0 to below 1; 0: none.
        shift: Largest move as a share of the side, 0 to below 1; 0: none.
        border: Filling beside a picture that was rotated, zoomed out or shifted.
        crop: Smallest share of the area that a view shows, above 0 to 1, of an aspect of 0.8 to 1.25 (SimCLR: 0.75 to
            1.33); 1: all of it.
        color: Strength of the changes of light and colour.
        cutout: Share of the views with a black rectangle of 0.1 to 0.35 of each side, 0 to 1.
    """

    crop_first: bool
    moved: float
    flip: bool
    rotation: float
    zoom: float
    shift: float
    border: Border
    crop: float
    color: Color
    cutout: float


_AFFINE = AugmentationParts(
    crop_first=False,
    moved=1,
    flip=True,
    rotation=15,
    zoom=0.15,
    shift=0.1,
    border="own_color",
    crop=1,
    color="mild",
    cutout=0,
)
_CROPPED = replace(_AFFINE, moved=0.7, border="replicate", crop=0.5, color="light", cutout=0.3)
PRESETS: Mapping[Preset, AugmentationParts] = {
    "affine": _AFFINE,
    "color_sensitive": _CROPPED,
    "color_invariant": replace(_CROPPED, color="all_hues"),
    "simclr": replace(_AFFINE, crop_first=True, rotation=0, zoom=0, shift=0, crop=0.08, color="simclr"),
}
"""Runs keep the name alone: what a name stands for never changes; what is better gets a name of its own."""
