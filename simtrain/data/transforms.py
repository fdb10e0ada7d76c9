"""Augmentation of training views: what makes them, the parts of presets, and one seed per view."""

# Shapes: H × W pixels of a picture, S = side of a view.

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from simtrain.data.presets import AugmentationParts
from simtrain.data.view_colors import blurred, cut_hole, recolored
from simtrain.data.view_draws import draw_view
from simtrain.data.view_geometry import cut, framed
from simtrain.data.view_plans import ViewPlan, view_plan, widest_blur
from simtrain.encoders.preprocessing import Preprocessing

HEADROOM = 2
"""Sides of a view that the square has at most from which it is cut: a crop of a quarter is still sharp."""


class ViewTransform(ABC):
    """Random views of an image, each decided by a seed alone, in whatever process and order they are made."""

    @abstractmethod
    def source_side(self, seeds: Sequence[int]) -> int:
        """Side of the square, in pixels, from which the views of these seeds are as sharp as they can be."""

    @abstractmethod
    def source(self, image: NDArray[np.uint8], *, preprocessing: Preprocessing, side: int) -> NDArray[np.uint8]:
        """What views of an image are made from, once for all of them.

        Args:
            image: (H, W, 3) RGB.
            preprocessing: How the encoder makes a square of it.
            side: Pixels of the square that are enough, as `source_side` gives them.
        """

    @abstractmethod
    def __call__(self, source: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
        """(H, W, 3) RGB that `source` made, or a square -> (S, S, 3) RGB; the same seed gives the same view."""


class PartViews(ViewTransform):
    """Views that differ in the parts of a preset, each resampled once.

    Args:
        parts: What changes.
        image_size: Side of the views, S.
    """

    def __init__(self, parts: AugmentationParts, *, image_size: int) -> None:
        self._parts = parts
        self._image_size = image_size
        self._widest_blur = widest_blur(image_size)

    @override
    def source_side(self, seeds: Sequence[int]) -> int:
        sharpest = max(draw_view(self._parts, seed=seed).enlargement for seed in seeds)
        return min(HEADROOM * self._image_size, round(sharpest * self._image_size))

    @override
    def source(self, image: NDArray[np.uint8], *, preprocessing: Preprocessing, side: int) -> NDArray[np.uint8]:
        return framed(image, resize=preprocessing.resize, side=side)

    @override
    def __call__(self, source: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
        parts, drawn = self._parts, draw_view(self._parts, seed=seed)
        view = cut(source, drawn, side=self._image_size, crop_first=parts.crop_first, border=parts.border)
        view = blurred(recolored(view, drawn.colors), deviation=drawn.blur, widest=self._widest_blur)
        if drawn.hole is not None:
            cut_hole(view, drawn.hole)
        return view

    def plan(self, pictures: Sequence[Sequence[NDArray[np.uint8]]], seeds: Sequence[Sequence[int]]) -> ViewPlan:
        """How the views of a batch are made where the network is.

        Args:
            pictures: For each sample what `source` made of its pictures: one for all its views, or one for each.
            seeds: For each sample the seeds of its views.
        """
        draws = [[draw_view(self._parts, seed=seed) for seed in of_sample] for of_sample in seeds]
        numbers = [
            [view if len(own) > 1 else 0 for view in range(len(drawn))]
            for own, drawn in zip(pictures, draws, strict=True)
        ]
        return view_plan(pictures, numbers, draws, parts=self._parts, side=self._image_size)


def view_seed(*, seed: int, epoch: int, position: int, view: int) -> int:
    """A number in 0..2³¹ that is another one for every view of every sample of every epoch."""
    return int(np.random.SeedSequence((seed, epoch, position, view)).generate_state(1)[0] >> 1)
