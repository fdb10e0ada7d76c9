"""What a seed draws for a view before there are any pixels: crop, mirror, turn, colours and hole.

The distributions are those of albumentations 2.0 (`RandomResizedCrop`, `HorizontalFlip`, `Affine`, `ColorJitter`,
`RandomBrightnessContrast`, `ToGray`, `GaussianBlur`, `CoarseDropout`) for the same parameters.
"""

import math
import random
from dataclasses import dataclass
from typing import Literal

from simtrain.data.presets import AugmentationParts

_CROP_ATTEMPTS = 10
_HOLE = (0.1, 0.35)  # of each side
_BLUR = (0.1, 2.0)  # pixels, of the standard deviation
_GREY = 0.2  # of the views
_JITTERED = 0.8
_BLURRED = 0.5

ColorKind = Literal["contrast_brightness", "brightness", "contrast", "saturation", "hue", "grey"]


@dataclass(frozen=True, kw_only=True)
class Box:
    """A part of a square, in shares of its side.

    Attributes:
        left: Its left edge, 0 to 1.
        top: Its upper edge, 0 to 1.
        width: Its width, above 0 to 1.
        height: Its height, above 0 to 1.
    """

    left: float
    top: float
    width: float
    height: float


WHOLE = Box(left=0, top=0, width=1, height=1)


@dataclass(frozen=True, kw_only=True)
class Move:
    """A zoom about the middle of a square, then a turn, then a shift.

    Attributes:
        degrees: Turn, counter-clockwise.
        zoom: Factors of width and height.
        shift: Moves to the right and down, in shares of the side.
    """

    degrees: float
    zoom: tuple[float, float]
    shift: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ColorChange:
    """One change of light or colour.

    Attributes:
        kind: `contrast_brightness`: c -> amount · c + offset; `brightness`: times amount; `contrast`: amount times the
            distance from the mean grey of the view; `saturation`: amount times the distance from its own grey; `hue`:
            turned by amount of a circle; `grey`: its own grey.
        amount: As `kind` says.
        offset: Levels of 255; 0 but for `contrast_brightness`.
    """

    kind: ColorKind
    amount: float
    offset: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ViewDraw:
    """What happens to a picture until it is a view.

    Attributes:
        crop: The part of the square that is shown.
        mirrored: Whether left and right change places.
        move: Turn, zoom and shift; None: none.
        colors: Changes of light and colour, in their order.
        blur: Standard deviation of a Gaussian blur in pixels of the view; 0: none.
        hole: A black part of the view; None: none.
    """

    crop: Box
    mirrored: bool
    move: Move | None
    colors: tuple[ColorChange, ...]
    blur: float
    hole: Box | None

    @property
    def enlargement(self) -> float:
        """Pixels of the view, along one side, for each pixel of a square as large as the view; above 0."""
        zoom = max(self.move.zoom) if self.move is not None else 1.0
        return zoom / min(self.crop.width, self.crop.height)


def draw_view(parts: AugmentationParts, *, seed: int) -> ViewDraw:
    """What the seed draws for a view of these parts."""
    dice = random.Random(seed)
    return ViewDraw(
        crop=_crop(parts, dice),
        mirrored=parts.flip and dice.random() < 0.5,
        move=_move(parts, dice),
        colors=_colors(parts, dice),
        blur=dice.uniform(*_BLUR) if parts.color == "simclr" and dice.random() < _BLURRED else 0.0,
        hole=_hole(dice) if parts.cutout and dice.random() < parts.cutout else None,
    )


def _crop(parts: AugmentationParts, dice: random.Random) -> Box:
    """A share of the area, then an aspect, again if it is out (Szegedy et al., https://arxiv.org/abs/1409.4842)."""
    if parts.crop == 1:
        return WHOLE
    widest = math.log(4 / 3 if parts.crop_first else 1.25)
    for _ in range(_CROP_ATTEMPTS):
        area = dice.uniform(parts.crop, 1.0)
        aspect = math.exp(dice.uniform(-widest, widest))
        width, height = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if width <= 1 and height <= 1:
            return _placed(width, height, dice)
    return WHOLE


def _placed(width: float, height: float, dice: random.Random) -> Box:
    return Box(left=dice.random() * (1 - width), top=dice.random() * (1 - height), width=width, height=height)


def _move(parts: AugmentationParts, dice: random.Random) -> Move | None:
    if not (parts.rotation or parts.zoom or parts.shift) or dice.random() >= parts.moved:
        return None

    def zoom() -> float:
        return dice.uniform(1 - parts.zoom, 1 + parts.zoom)

    def shift() -> float:
        return dice.uniform(-parts.shift, parts.shift)

    degrees = dice.uniform(-parts.rotation, parts.rotation)
    return Move(degrees=degrees, zoom=(zoom(), zoom()), shift=(shift(), shift()))


def _colors(parts: AugmentationParts, dice: random.Random) -> tuple[ColorChange, ...]:
    match parts.color:
        case "none":
            return ()
        case "light":
            return _light(dice)
        case "mild":
            return _jitter(dice, light=0.2, saturation=0.2, hue=0)
        case "all_hues":
            return (*_jitter(dice, light=0.3, saturation=0.8, hue=0.5), *_grey(dice))
        case "simclr":  # https://arxiv.org/abs/2002.05709, appendix A, strength 1
            return (*_jitter(dice, light=0.8, saturation=0.8, hue=0.2), *_grey(dice))


def _light(dice: random.Random) -> tuple[ColorChange, ...]:
    if dice.random() >= _JITTERED:
        return ()
    amount, offset = 1 + dice.uniform(-0.15, 0.15), 255 * dice.uniform(-0.15, 0.15)
    return (ColorChange(kind="contrast_brightness", amount=amount, offset=offset),)


def _jitter(dice: random.Random, *, light: float, saturation: float, hue: float) -> tuple[ColorChange, ...]:
    if dice.random() >= _JITTERED:
        return ()
    changes = [
        ColorChange(kind="brightness", amount=dice.uniform(1 - light, 1 + light)),
        ColorChange(kind="contrast", amount=dice.uniform(1 - light, 1 + light)),
        ColorChange(kind="saturation", amount=dice.uniform(1 - saturation, 1 + saturation)),
    ]
    if hue:
        changes.append(ColorChange(kind="hue", amount=dice.uniform(-hue, hue)))
    dice.shuffle(changes)
    return tuple(changes)


def _grey(dice: random.Random) -> tuple[ColorChange, ...]:
    return (ColorChange(kind="grey", amount=1),) if dice.random() < _GREY else ()


def _hole(dice: random.Random) -> Box:
    return _placed(dice.uniform(*_HOLE), dice.uniform(*_HOLE), dice)
