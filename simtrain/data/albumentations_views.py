"""Views by transforms of albumentations: a list of one's own, or the parts of a preset one after another."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # its import would look for a newer version on the network

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from typing_extensions import override

from simtrain.data.presets import AugmentationParts, Color
from simtrain.data.transforms import HEADROOM, ViewTransform
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import ConfigError, nearest
from simtrain.phrases import shortened

_BORDER_MODES = {"white": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101}
_ABSTRACT = (A.BasicTransform, A.DualTransform, A.ImageOnlyTransform, A.Transform3D)


class AlbumentationsViews(ViewTransform):
    """Views by transforms of albumentations.

    albumentations draws from a generator of its own, which every forked worker inherits in the same state; here every
    view sets it, so that neither the worker nor the order of calls matters.

    Args:
        transforms: The transforms; the last one makes the square.
        image_size: Side of the views, S.
    """

    def __init__(self, *, transforms: Sequence[A.BasicTransform], image_size: int) -> None:
        self._compose = A.Compose(list(transforms))
        self._image_size = image_size

    @override
    def source_side(self, seeds: Sequence[int]) -> int:
        return HEADROOM * self._image_size

    @override
    def source(self, image: NDArray[np.uint8], *, preprocessing: Preprocessing, side: int) -> NDArray[np.uint8]:
        own = min(image.shape[:2]) if preprocessing.resize == "crop" else max(image.shape[:2])
        return preprocessing.square(image, side=min(side, own))

    @override
    def __call__(self, source: NDArray[np.uint8], *, seed: int) -> NDArray[np.uint8]:
        # One generator for the whole list: given a seed, each transform would make its own from it, and all of them
        # would throw the same dice (grayscale, a fifth of the views, only ever together with a flip).
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        view: NDArray[np.uint8] = self._compose(image=source)["image"]
        return view


def parts_transform(parts: AugmentationParts, *, image_size: int) -> AlbumentationsViews:
    """Views of image_size × image_size that differ in these parts, each part a resampling or rounding of its own."""
    return AlbumentationsViews(transforms=_part_steps(parts, image_size=image_size), image_size=image_size)


def custom_transform(transforms: Sequence[tuple[str, Mapping[str, Any]]], *, image_size: int) -> AlbumentationsViews:
    """A custom list of (name, parameters), followed by a resize to the square where the list does not make it.

    Raises:
        ConfigError: for a transform or a parameter that albumentations does not have, a value that it refuses, or a
            transform that does not make a picture of a picture.
    """
    steps = [_make(name, parameters, place=place) for place, (name, parameters) in enumerate(transforms)]
    picture = np.full((2 * image_size, 2 * image_size, 3), 128, dtype=np.uint8)
    for place, step in enumerate(steps):
        picture = _try_out(step, picture, argument=f"transforms.{place}")
    square = A.Resize(image_size, image_size, interpolation=cv2.INTER_AREA)
    return AlbumentationsViews(transforms=[*steps, square], image_size=image_size)


def _part_steps(parts: AugmentationParts, *, image_size: int) -> list[A.BasicTransform]:
    """In their order; each throws its dice apart from the others."""
    flip: list[A.BasicTransform] = [A.HorizontalFlip(p=0.5)] if parts.flip else []
    square, moves = _square(parts, image_size), _moves(parts)
    geometry = [square, *flip, *moves] if parts.crop_first else [*flip, *moves, square]
    return [*geometry, *_colors(parts.color, image_size), *_cutout(parts.cutout)]


class _AffineOnOwnColor(A.Affine):  # type: ignore[misc]  # albumentations comes without types
    """A turn, zoom and shift on the picture's own border colour: the median of its outermost pixels."""

    @override
    def apply(
        self, img: NDArray[Any], matrix: NDArray[Any], output_shape: tuple[int, int], **params: Any
    ) -> NDArray[Any]:
        edge = np.concatenate([img[0], img[-1], img[:, 0], img[:, -1]])
        self.fill = tuple(float(value) for value in np.median(edge, axis=0))
        moved: NDArray[Any] = super().apply(img, matrix, output_shape, **params)
        return moved


def _moves(parts: AugmentationParts) -> list[A.BasicTransform]:
    if not (parts.rotation or parts.zoom or parts.shift):
        return []
    ranges: dict[str, Any] = {
        "rotate": (-parts.rotation, parts.rotation),
        "scale": _around_one(parts.zoom),
        "translate_percent": (-parts.shift, parts.shift),
        "p": parts.moved,
    }
    if parts.border == "own_color":
        return [_AffineOnOwnColor(**ranges)]
    return [A.Affine(**ranges, border_mode=_BORDER_MODES[parts.border], fill=255)]


def _square(parts: AugmentationParts, image_size: int) -> A.BasicTransform:
    if parts.crop == 1:
        return A.Resize(image_size, image_size, interpolation=cv2.INTER_AREA)
    narrow = 0.75 if parts.crop_first else 0.8
    return A.RandomResizedCrop(size=(image_size, image_size), scale=(parts.crop, 1.0), ratio=(narrow, 1 / narrow))


def _colors(color: Color, image_size: int) -> list[A.BasicTransform]:
    match color:
        case "none":
            return []
        case "light":
            return [A.RandomBrightnessContrast(brightness_limit=0.15, contrast_limit=0.15, p=0.8)]
        case "mild":
            return [_jitter(light=0.2, saturation=0.2, hue=0.0)]
        case "all_hues":
            return [_jitter(light=0.3, saturation=0.8, hue=0.5), A.ToGray(p=0.2)]
        case "simclr":  # https://arxiv.org/abs/2002.05709, appendix A, strength 1, its blur a tenth of the side
            kernel = max(3, image_size // 10 | 1)
            blur = A.GaussianBlur(blur_limit=(kernel, kernel), sigma_limit=(0.1, 2.0), p=0.5)
            return [_jitter(light=0.8, saturation=0.8, hue=0.2), A.ToGray(p=0.2), blur]


def _jitter(*, light: float, saturation: float, hue: float) -> A.BasicTransform:
    return A.ColorJitter(
        brightness=_around_one(light),
        contrast=_around_one(light),
        saturation=_around_one(saturation),
        hue=(-hue, hue),
        p=0.8,
    )


def _around_one(change: float) -> tuple[float, float]:
    return round(1 - change, 9), round(1 + change, 9)


def _cutout(share: float) -> list[A.BasicTransform]:
    if not share:
        return []
    return [
        A.CoarseDropout(num_holes_range=(1, 1), hole_height_range=(0.1, 0.35), hole_width_range=(0.1, 0.35), p=share)
    ]


def _make(name: str, parameters: Mapping[str, Any], *, place: int) -> A.BasicTransform:
    argument = f"transforms.{place}"
    parts = {key: value for key, value in vars(A).items() if isinstance(value, type)}
    known = [key for key, value in parts.items() if issubclass(value, A.BasicTransform) and value not in _ABSTRACT]
    if name not in known:
        near = nearest(name, known)
        raise ConfigError(f"albumentations has no '{name}'{near}", argument=f"{argument}.name")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=r"Argument\(s\)")  # it only warns, and goes on with defaults
        try:
            return getattr(A, name)(**parameters)
        except (TypeError, ValueError, UserWarning) as error:
            reason = shortened(str(error), to=200)
            if isinstance(error.__cause__, ValidationError):
                faults = error.__cause__.errors()
                reason = "; ".join(": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in faults)
            raise ConfigError(f"{name}: {reason}", argument=f"{argument}.parameters") from None


def _try_out(step: A.BasicTransform, picture: NDArray[np.uint8], *, argument: str) -> NDArray[np.uint8]:
    """What the transform makes of a picture: another one, or an error here rather than in the first epoch."""
    name = type(step).__name__
    step.set_random_seed(0)
    try:
        made = step(force_apply=True, image=picture)["image"]
    except Exception as error:  # albumentations raises whatever its code trips over
        reason = shortened(str(error), to=200)
        raise ConfigError(f"{name} fails on a picture of {picture.shape}: {reason}", argument=argument) from None
    if not isinstance(made, np.ndarray) or made.dtype != np.uint8 or made.shape[2:] != (3,):
        kind = f"{getattr(made, 'dtype', type(made).__name__)} of {tuple(made.shape)}"
        problem = f"{name} makes {kind}; a view stays uint8 RGB, which the encoder itself normalises"
        raise ConfigError(problem, argument=argument)
    return made
