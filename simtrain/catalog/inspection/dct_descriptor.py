"""DCT descriptors of images and of their crops, and the descriptors' derivatives by small shifts and stretches.

The numbers are the lowest cosines of the grey and colour copies, as in a perceptual hash (C. Zauner, Implementation and
benchmarking of perceptual image hash functions, 2010), but kept as numbers instead of bits. How they change with a
small shift or stretch are the tangents of P. Simard, Y. LeCun and J. Denker (Efficient pattern recognition using a new
transformation distance, 1993).
"""

# Shapes: N images, K cosines along a side, D numbers that describe an image.

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.inspection.fingerprint import (
    COLOUR_SIDE,
    GREY_SIDE,
    colour_copies,
    grey_copies,
    mirror_images,
)

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Fingerprints = NDArray[np.uint8]

_CORNER = 0.025 * GREY_SIDE
CROPS = np.array(
    [(1, 0, 1, 0), (0.95, 0, 0.95, 0), (0.9, 0, 0.9, 0)]
    + [(0.95, down, 0.95, right) for down in (-_CORNER, _CORNER) for right in (-_CORNER, _CORNER)],
    dtype=np.float32,
)
"""What of the outer picture the inner one may show: share of the height, shift of the centre downwards in pixels of the
grey copy, share of the width, shift to the right. The first is the whole picture."""

NUDGES = np.array([0.02, 0.6, 0.02, 0.6], dtype=np.float32)
"""Changes of such four numbers by which `moves` moves."""

STEPS = 8
"""Per grey level: descriptions are whole numbers."""

_GREY_COSINES, _COLOUR_COSINES = 9, 3
"""Along a side; of them those are kept whose frequencies, down and right, sum up to less."""

_AT_ONCE = 4096
"""Images described at once."""


def descriptions(fingerprints: Fingerprints, rows: Rows, *, crop: Floats, mirrored: bool) -> NDArray[np.int16]:
    """(N, D) whole numbers of these rows: the lowest cosines of a crop's grey and colour copies, in steps of a level.

    Args:
        fingerprints: (M, `FINGERPRINT_BYTES`) uint8 fingerprints.
        rows: (N,) row numbers of the fingerprints to describe.
        crop: (4,) crop to describe: a row of `CROPS` or values near one.
        mirrored: Describe the mirror images instead.
    """
    parts = [np.rint(_described(some, crop=crop)) for some in _some_at_once(fingerprints, rows, mirrored=mirrored)]
    return np.concatenate(parts).astype(np.int16)


def moves(fingerprints: Fingerprints, rows: Rows, *, mirrored: bool) -> Floats:
    """(N, 4, D): by how much each of the `NUDGES` moves the descriptions of the rows."""
    parts = []
    for some in _some_at_once(fingerprints, rows, mirrored=mirrored):
        nudges = np.diag(NUDGES / 2)
        each = [_described(some, crop=CROPS[0] + nudge) - _described(some, crop=CROPS[0] - nudge) for nudge in nudges]
        parts.append(np.stack(each, axis=1))
    return np.concatenate(parts)


def places_of_means() -> list[int]:
    """Where the means of the copies stand in a description."""
    grey, colour = (len(_lowest(cosines)[0]) for cosines in (_GREY_COSINES, _COLOUR_COSINES))
    return [0, grey, grey + colour]


def _some_at_once(fingerprints: Fingerprints, rows: Rows, *, mirrored: bool) -> Iterator[Fingerprints]:
    for start in range(0, len(rows), _AT_ONCE):
        some = fingerprints[rows[start : start + _AT_ONCE]]
        yield mirror_images(some) if mirrored else some


def _lowest(cosines: int) -> tuple[Rows, Rows]:
    """Frequencies, down and right, of the cosines whose frequencies sum up to less than `cosines`; the mean first."""
    down, right = np.indices((cosines, cosines))
    down, right = down[down + right < cosines], right[down + right < cosines]
    return down, right


def _cosines_of_crop(side: int, *, cosines: int, share: float, shift: float) -> NDArray[np.float64]:
    """(K, side): maps the pixels of a copy to cosines of a crop of it, whose squares add up to its mean square."""
    places = (np.arange(side) + 0.5 - side / 2) * share + side / 2 - 0.5 + shift * side / GREY_SIDE
    hats = np.maximum(0, 1 - np.abs(places.clip(0, side - 1)[:, None] - np.arange(side)))
    waves = np.cos(np.pi * np.arange(cosines)[:, None] * (np.arange(side) + 0.5) / side)
    waves *= np.where(np.arange(cosines) == 0, 1, 2)[:, None] ** 0.5 / side
    cropped: NDArray[np.float64] = waves @ hats
    return cropped


def _described(fingerprints: Fingerprints, *, crop: Floats) -> Floats:
    """(N, D), not yet whole."""
    height, down, width, right = crop.tolist()
    parts = []
    for copies, side, count in (
        (grey_copies(fingerprints)[:, None], GREY_SIDE, _GREY_COSINES),
        (colour_copies(fingerprints), COLOUR_SIDE, _COLOUR_COSINES),
    ):
        vertical = _cosines_of_crop(side, cosines=count, share=height, shift=down)
        horizontal = _cosines_of_crop(side, cosines=count, share=width, shift=right)
        images, planes = copies.shape[:2]
        # Double precision: what the order of summation changes is lost when the result is rounded.
        across = (copies.astype(np.float64) - 128).reshape(-1, side) @ horizontal.T
        both = across.reshape(-1, side, count).transpose(0, 2, 1).reshape(-1, side) @ vertical.T
        frequencies = _lowest(count)
        kept = both.reshape(images, planes, count, count)[:, :, frequencies[1], frequencies[0]]
        parts.append(kept.reshape(images, planes * len(frequencies[0])))
    return (STEPS * np.concatenate(parts, axis=1)).astype(np.float32)
