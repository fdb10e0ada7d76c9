"""Image fingerprints of about a thousand bytes for near-duplicate search: a small blurred grey copy and colours."""

import cv2
import numpy as np
from numpy.typing import NDArray

GREY_SIDE = 32
"""Pixels along a side of the grey copy."""

COLOUR_SIDE = 8
"""Pixels along a side of the two colour copies."""

_SIDES_BYTES = 4
_GREY_BYTES = GREY_SIDE**2
FINGERPRINT_BYTES = _SIDES_BYTES + _GREY_BYTES + 2 * COLOUR_SIDE**2

_OVERSAMPLED = 2 * GREY_SIDE
BLUR = 0.7
"""Standard deviation in pixels of the copy. It leaves little above the copy's own resolution, so that the copy of a
cropped picture can be computed from that of the whole: of renders of furniture, a 5 % crop then differs by 1.4 grey
levels, where area averaging alone makes it 6.9."""

_PLAIN = 2.0
"""Grey levels by which a picture differs from a quadratic surface, root mean square, below which it shows nothing."""


def fingerprint(pixels: NDArray[np.uint8]) -> bytes:
    """Reduce an image to `FINGERPRINT_BYTES` bytes: height, width (little endian), grey copy, Cr and Cb copies.

    Args:
        pixels: (H, W, 3) sRGB; of any size, best already reduced to a shorter side of a few hundred.
    """
    height, width, _ = pixels.shape
    enough = pixels
    if min(height, width) < _OVERSAMPLED:
        size = (max(width, _OVERSAMPLED), max(height, _OVERSAMPLED))
        enough = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    small = cv2.resize(enough, (_OVERSAMPLED, _OVERSAMPLED), interpolation=cv2.INTER_AREA)
    planes = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    grey = _blurred_copy(planes[:, :, 0], side=GREY_SIDE)
    colours = _blurred_copy(planes[:, :, 1:], side=COLOUR_SIDE)
    sides = np.minimum([height, width], 2**16 - 1).astype("<u2")
    return sides.tobytes() + grey.tobytes() + colours.transpose(2, 0, 1).tobytes()


def _blurred_copy(planes: NDArray[np.float32], *, side: int) -> NDArray[np.uint8]:
    deviation = BLUR * _OVERSAMPLED / side
    blurred = cv2.GaussianBlur(planes, (0, 0), deviation, borderType=cv2.BORDER_REFLECT)
    return np.rint(cv2.resize(blurred, (side, side), interpolation=cv2.INTER_AREA)).astype(np.uint8)


def sides(fingerprints: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(N, 2) heights and widths of the images that (N, `FINGERPRINT_BYTES`) were made from, at most 65,535."""
    return np.ascontiguousarray(fingerprints[:, :_SIDES_BYTES]).view("<u2").astype(np.int64)


def grey_copies(fingerprints: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 32, 32), 0 to 255."""
    grey = fingerprints[:, _SIDES_BYTES : _SIDES_BYTES + _GREY_BYTES]
    return grey.reshape(-1, GREY_SIDE, GREY_SIDE).astype(np.float32)


def colour_copies(fingerprints: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(N, 2, 8, 8), Cr and Cb, 0 to 255; 128 is colourless."""
    colours = fingerprints[:, _SIDES_BYTES + _GREY_BYTES :]
    return colours.reshape(-1, 2, COLOUR_SIDE, COLOUR_SIDE).astype(np.float32)


def mirror_images(fingerprints: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fingerprints that the mirrored images would have, (N, `FINGERPRINT_BYTES`)."""
    grey = grey_copies(fingerprints)[:, :, ::-1].reshape(len(fingerprints), -1)
    colours = colour_copies(fingerprints)[:, :, :, ::-1].reshape(len(fingerprints), -1)
    return np.concatenate([fingerprints[:, :_SIDES_BYTES], grey.astype(np.uint8), colours.astype(np.uint8)], axis=1)


def is_plain(fingerprints: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) whether the grey copy shows next to nothing: a flat colour, a soft gradient, a hair on white."""
    return np.concatenate([_plain(part) for part in np.array_split(fingerprints, len(fingerprints) // 4096 + 1)])


def _plain(fingerprints: NDArray[np.uint8]) -> NDArray[np.bool_]:
    copies = grey_copies(fingerprints)
    across = (np.arange(GREY_SIDE, dtype=np.float32) - (GREY_SIDE - 1) / 2) / GREY_SIDE
    waves = np.stack([np.ones_like(across), across, across**2], axis=1)
    surfaces = np.stack([np.outer(waves[:, i], waves[:, j]).ravel() for i in range(3) for j in range(3 - i)], axis=1)
    basis, _ = np.linalg.qr(surfaces)
    flat = copies.reshape(-1, GREY_SIDE**2)
    rest = flat - (flat @ basis) @ basis.T
    plain: NDArray[np.bool_] = rest.std(axis=1) < _PLAIN
    return plain
