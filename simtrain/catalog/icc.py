"""Conversion of an image's embedded ICC colour profile to sRGB."""

from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from simtrain.errors import first_line

_INVISIBLE = 2  # levels of 255: a profile that moves no colour further is sRGB under another name
_SPACES = {"L": ("GRAY", "RGB "), "RGB": ("RGB ",), "CMYK": ("CMYK",)}
_NAMES = {"L": "grey", "RGB": "RGB", "CMYK": "CMYK"}


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The conversion that an ICC profile asks for.

    Attributes:
        transform: Pillow's transform to sRGB; None if the plain arithmetic of `Image.convert` already gives the right
            colours.
        note: Why the profile is ignored; None if it is used.
    """

    transform: ImageCms.ImageCmsTransform | None
    note: str | None

    def apply(self, picture: Image.Image) -> Image.Image:
        """A picture of the mode that the conversion was made for, as RGB."""
        if self.transform is None:
            return picture.convert("RGB")
        return self.transform.apply(picture.convert(self.transform.input_mode))


NO_PROFILE = Conversion(transform=None, note=None)


@lru_cache(maxsize=16)  # a shop's pictures come from a handful of programs; a CMYK profile can be two megabytes
def conversion_to_srgb(profile: bytes, mode: str) -> Conversion:
    """The way from `profile` to sRGB, relative colorimetric with black point compensation.

    Colours that sRGB has stay exactly what they are, whatever space a program saved them in, white stays white and the
    ink's black becomes black: pictures of one product have to agree in colour. The perceptual intent would move colours
    inside the gamut too, by as much as the profile's maker pleased.

    Args:
        profile: An ICC profile. For a grey picture one of RGB will do: grey is then equal parts of its colours.
        mode: Pillow's mode of the image: `L`, `RGB` or `CMYK`.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = source.profile.xcolor_space
        if space not in _SPACES[mode]:
            return _passed_over(f"it is for {space.strip()}, the picture is {_NAMES[mode]}", mode=mode)
        transform = _transform(source, mode="RGB" if space == "RGB " else mode)
    except (OSError, ImageCms.PyCMSError) as error:
        return _passed_over(f"it is damaged: {first_line(error)}", mode=mode)
    return _judged(transform, mode=mode)


def _transform(source: ImageCms.ImageCmsProfile, *, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _judged(transform: ImageCms.ImageCmsTransform, *, mode: str) -> Conversion:
    colours = _sample(mode)
    found = Conversion(transform=transform, note=None)
    converted = np.asarray(found.apply(colours), dtype=np.int64)[0]
    white, black = converted[-1].tolist(), converted[0].tolist()
    if sum(white) - sum(black) < 3 * 128:  # no maker means that, and the picture would be lost
        return _passed_over(f"it makes RGB {tuple(white)} of white and {tuple(black)} of black", mode=mode)
    moved = np.abs(converted - np.asarray(colours.convert("RGB"), dtype=np.int64)[0])
    return NO_PROFILE if moved.max() <= _INVISIBLE else found


def _sample(mode: str) -> Image.Image:
    """One row of colours all over the space, black first and white last."""
    bands = len(Image.new(mode, (1, 1)).getbands())
    levels = np.arange(256, dtype=np.uint8) if bands == 1 else np.arange(0, 256, 51, dtype=np.uint8)
    lattice = np.stack(np.meshgrid(*[levels] * bands, indexing="ij"), axis=-1).reshape(-1, bands)
    if mode == "CMYK":  # ink darkens
        lattice = 255 - lattice
    return Image.frombytes(mode, (len(lattice), 1), lattice.tobytes())


def _passed_over(problem: str, *, mode: str) -> Conversion:
    instead = "inks converted plainly" if mode == "CMYK" else "taken as sRGB"
    return Conversion(transform=None, note=f"its colour profile cannot be used: {problem}; {instead}")
