"""Alignment of two image fingerprints, one as a crop of the other, and a misfit score for near duplicates.

The steps are those of S. Benhimane and E. Malis (Real-time image-based tracking of planes using efficient second-order
minimization, 2004): Gauss-Newton with the mean of both pictures' gradients, of which two or three suffice.
"""

# Shapes: P pairs, S pixels along a side of a grey copy.
# Places are (P, 4): share of the outer picture's height that the inner one shows, shift of its centre downwards in
# pixels of the grey copy, share of the width, shift to the right.

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.inspection.fingerprint import BLUR, COLOUR_SIDE, GREY_SIDE, colour_copies, grey_copies, sides
from simtrain.catalog.inspection.resampling import (
    HALVED_VARIANCE,
    blurred,
    cubic_weights,
    gradients,
    halved,
    linear_weights,
    sample_places,
    spread,
)

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Fingerprints = NDArray[np.uint8]

PLAINEST = 1.5
"""Grey levels per pixel of the copy that a picture changes by, below which nothing in it can be laid over another."""

_AT_ONCE = 256
_COPY_VARIANCE = BLUR**2 + 0.1
"""Pixels squared of the grey copy that it is blurred by, averaging over a pixel included."""

_SEARCHED = np.array([(0.84, -3, 0.84, -3), (1.16, 3, 1.16, 3)], dtype=np.float32)
"""Bounds of the places where a crop is looked for, its roles not yet known."""

_SMALLEST_SHARE, _LARGEST_SHARE, _STRETCH, _OVERHANG = np.array([0.87, 1.02, 0.03, 0.5], dtype=np.float32)
"""Bounds of a slight crop: shares, their distance from their mean, and pixels of the grey copy by which the inner
picture may reach beyond the outer one."""

_STAY = np.array([0.256, 0.001, 0.256, 0.001], dtype=np.float32)
"""Holds shares and shifts where a picture does not say, along an edge or in a plain one."""

_HOPELESS = 1.75
"""Root mean square difference over its bound, as a step at half the resolution would leave it, from which a pair is
given up."""

_FAR = 2.5
"""The same, after a step at full resolution and before the bounds of a slight crop."""

_SPOT = 0.7
"""Standard deviation in pixels of the grey copy of the blur after which a difference in one place must not stand out:
small enough for a fluted column beside a plain one, or a second switch."""


@dataclass(frozen=True, kw_only=True)
class _Treatment:
    """How pairs are compared, by their smallest picture: one of few pixels has lost what its copy seems to show.

    Attributes:
        pixels: From this shortest side on.
        blur: Standard deviation of a further blur, in pixels of the grey copy.
        border: Pixels of the grey copy that are left out at each edge, where the blur lacks what a crop cut off.
        noise: Share of the noise that this blur leaves.
    """

    pixels: int
    blur: float
    border: int
    noise: float


_TREATMENTS = (
    _Treatment(pixels=48, blur=0.0, border=1, noise=1.0),
    _Treatment(pixels=24, blur=1.0, border=2, noise=0.6),
    _Treatment(pixels=0, blur=2.2, border=3, noise=0.33),
)


@dataclass(frozen=True, kw_only=True)
class _Overlay:
    """Inner pictures and what the outer ones show at their places.

    Attributes:
        place: (P, 4) crop of the outer image: share and shift of the height, share and shift of the width.
        inner: (P, S, S) grey levels of the inner image, blurred as the outer one is where it is enlarged.
        difference: (P, S, S) grey levels, inner minus outer; 0 where left out.
        inside: (P, S, S), 1 where a pixel is compared, 0 where it is left out.
    """

    place: Floats
    inner: Floats
    difference: Floats
    inside: Floats

    @property
    def mean_square(self) -> Floats:
        """(P,) mean square of the difference, in grey levels squared."""
        return self.mean(self.difference**2)

    @property
    def texture(self) -> Floats:
        """(P,) root mean square change of the inner pictures per pixel."""
        down, right = gradients(self.inner)
        return np.sqrt(self.mean(down**2 + right**2))

    def mean(self, values: Floats) -> Floats:
        """(P,) means of (P, S, S) values over the pixels that are compared."""
        means: Floats = (values * self.inside).sum(axis=(1, 2)) / np.maximum(self.inside.sum(axis=(1, 2)), 1)
        return means

    def better(self, other: "_Overlay") -> "_Overlay":
        """Pair by pair the one with the smaller difference."""
        chosen = other.mean_square < self.mean_square
        cube = chosen[:, None, None]
        return _Overlay(
            place=np.where(chosen[:, None], other.place, self.place),
            inner=np.where(cube, other.inner, self.inner),
            difference=np.where(cube, other.difference, self.difference),
            inside=np.where(cube, other.inside, self.inside),
        )


def misfits(inner: Fingerprints, outer: Fingerprints, places: Floats) -> Floats:
    """(P,) how far pairs are from being one picture: 0 equal, 1 the most that compression and a slight crop do.

    Args:
        inner: (P, `FINGERPRINT_BYTES`) uint8 fingerprints of one image of each pair.
        outer: (P, `FINGERPRINT_BYTES`) uint8 fingerprints of the other image; which one is the crop is found out.
        places: (P, 4) crop in the outer image to start from: share and shift of the height, share and shift of the
            width, as in `CROPS`.

    Returns:
        (P,) float32; infinite where an image is too plain to be compared.
    """
    result = np.full(len(inner), np.inf, dtype=np.float32)
    shortest = np.minimum(sides(inner).min(axis=1), sides(outer).min(axis=1))
    for start in range(0, len(inner), _AT_ONCE):
        some = np.arange(start, min(start + _AT_ONCE, len(inner)))
        some = some[_hopeful(inner[some], outer[some], places[some], shortest[some])]
        kinds = np.searchsorted([-treatment.pixels for treatment in _TREATMENTS], -shortest[some])
        for kind, treatment in enumerate(_TREATMENTS):
            rows = some[kinds == kind]
            if len(rows):
                result[rows] = _misfits(inner[rows], outer[rows], places[rows], shortest[rows], treatment=treatment)
    return result


def _hopeful(inner: Fingerprints, outer: Fingerprints, places: Floats, shortest: Rows) -> NDArray[np.bool_]:
    """Whether a step at half the resolution comes anywhere near: a cheap look at what are mostly different pictures."""
    copies = [halved(grey_copies(prints)) for prints in (inner, outer)]
    overlay = _overlay(copies[0], copies[1], places, variance=(_COPY_VARIANCE + HALVED_VARIANCE) / 4, border=1)
    _, explained = _step(overlay)
    bound = _bound(overlay, shortest, noise=1.0, of_texture=0.13, of_move=0)
    hopeful: NDArray[np.bool_] = overlay.mean_square - explained < (_HOPELESS * bound) ** 2
    return hopeful


def _misfits(
    inner: Fingerprints, outer: Fingerprints, places: Floats, shortest: Rows, *, treatment: _Treatment
) -> Floats:
    variance, border = _COPY_VARIANCE + treatment.blur**2, treatment.border
    copies = np.stack([blurred(grey_copies(prints), deviation=treatment.blur) for prints in (inner, outer)])
    colours = np.stack([colour_copies(prints) for prints in (inner, outer)])
    first = _best_overlay(copies, places, steps=1, variance=variance, border=border, slight=False)
    result = np.full(len(places), np.inf, dtype=np.float32)
    near = np.flatnonzero(np.sqrt(first.mean_square) < _FAR * _bound_of_all(first, shortest, treatment))
    if len(near) == 0:
        return result
    found, copies, colours = first.place[near], copies[:, near], colours[:, near]
    reverse = found[:, 0] * found[:, 2] > 1
    copies[:, reverse], colours[:, reverse] = copies[::-1, reverse], colours[::-1, reverse]
    found = np.where(reverse[:, None], _reversed(found), found)
    overlay = _best_overlay(copies, found, steps=2, variance=variance, border=border, slight=True)
    spots = np.abs(blurred(overlay.difference, deviation=_SPOT)).max(axis=(1, 2))
    ratios = (
        np.sqrt(overlay.mean_square) / _bound_of_all(overlay, shortest[near], treatment),
        spots / _bound(overlay, shortest[near], noise=4 * treatment.noise, of_texture=0.08, of_move=0.1),
        _colour_ratio(colours[0], colours[1], overlay.place, shortest[near]),
    )
    result[near] = np.where(overlay.texture < PLAINEST, np.inf, np.max(ratios, axis=0))
    return result


def _bound_of_all(overlay: _Overlay, shortest: Rows, treatment: _Treatment) -> Floats:
    return _bound(overlay, shortest, noise=treatment.noise, of_texture=0.035, of_move=0.06)


def _bound(overlay: _Overlay, shortest: Rows, *, noise: float, of_texture: float, of_move: float) -> Floats:
    """(P,) grey levels that copies of one picture differ by at most.

    Noise is that of JPEG quality 50, measured: 95 % of pictures of 288 pixels differ by less than 0.4, of 128 by 1.1,
    of 64 by 2.0. A change of size, and more so a crop, adds a share of the picture's change from pixel to pixel.
    """
    of_resampling = (of_texture + of_move * _moved(overlay.place)) * overlay.texture
    bounds: Floats = np.hypot(noise * _noise(shortest), of_resampling)
    return bounds


def _noise(shortest: Rows) -> Floats:
    noise: Floats = (0.3 + 110 / np.maximum(shortest, 1)).astype(np.float32)
    return noise


def _moved(place: Floats) -> Floats:
    """(P,) 0 where the pictures are cut alike, up to 1 from half a pixel of the grey copy on."""
    shares, shifts = place[:, ::2], place[:, 1::2]
    moves = np.maximum(np.abs(1 - shares) * GREY_SIDE / 2, np.abs(shifts)).max(axis=1)
    moved: Floats = np.minimum(1, 2 * moves)
    return moved


def _colour_ratio(inner: Floats, outer: Floats, place: Floats, shortest: Rows) -> Floats:
    """(P,) root mean square difference of the colour copies over its bound."""
    pixels = np.float32(COLOUR_SIDE / GREY_SIDE)
    down, right = (
        linear_weights(sample_places(place[:, k], pixels * place[:, k + 1], side=COLOUR_SIDE), side=COLOUR_SIDE)
        for k in (0, 2)
    )
    difference = down[:, None] @ outer @ right.transpose(0, 2, 1)[:, None] - inner
    contrast = inner.std(axis=(2, 3)).max(axis=1)
    bound = np.hypot(0.8 + 0.8 * _noise(shortest), (0.02 + 0.2 * _moved(place)) * contrast)
    ratios: Floats = np.sqrt((difference**2).mean(axis=(1, 2, 3))) / bound
    return ratios


def _reversed(place: Floats) -> Floats:
    """Places of the outer pictures in the inner ones."""
    turned = np.empty_like(place)
    turned[:, ::2] = 1 / place[:, ::2]
    turned[:, 1::2] = -place[:, 1::2] / place[:, ::2]
    return turned


def _best_overlay(copies: Floats, place: Floats, *, steps: int, variance: float, border: int, slight: bool) -> _Overlay:
    """The best of the start and what each of some steps leads to, within a slight crop or somewhat beyond."""
    inner, outer = copies[0], copies[1]
    best = overlay = _overlay(inner, outer, place, variance=variance, border=border)
    for _ in range(steps):
        step, _ = _step(overlay)
        place = _within(overlay.place - step, slight=slight)
        overlay = _overlay(inner, outer, place, variance=variance, border=border)
        best = best.better(overlay)
    return best


def _within(place: Floats, *, slight: bool) -> Floats:
    if not slight:
        return place.clip(*_SEARCHED)
    middle = place[:, ::2].mean(axis=1, keepdims=True)
    shares = place[:, ::2].clip(middle - _STRETCH, middle + _STRETCH).clip(_SMALLEST_SHARE, _LARGEST_SHARE)
    farthest = np.maximum(0, 1 - shares) * GREY_SIDE / 2 + _OVERHANG
    return np.stack([shares, place[:, 1::2].clip(-farthest, farthest)], axis=2).reshape(-1, 4)


def _overlay(inner: Floats, outer: Floats, place: Floats, *, variance: float, border: int) -> _Overlay:
    side = inner.shape[1]
    edges = np.zeros(side, dtype=np.float32)
    edges[border:-border] = 1
    pixels = np.float32(side / GREY_SIDE)
    down, right = (sample_places(place[:, k], pixels * place[:, k + 1], side=side) for k in (0, 2))
    inside = [edges * ((places > -0.51) & (places < side - 0.49)) for places in (down, right)]
    both_inside = inside[0][:, :, None] * inside[1][:, None, :]
    # Where the outer picture is enlarged, so is its blur.
    missing: Floats = np.float32(variance) * (place[:, ::2].clip(0.8, 1) ** np.float32(-2) - 1)
    matched = spread(inner, down=missing[:, 0], right=missing[:, 1])
    shown = cubic_weights(down, side=side) @ outer @ cubic_weights(right, side=side).transpose(0, 2, 1)
    return _Overlay(place=place, inner=matched, difference=(shown - matched) * both_inside, inside=both_inside)


def _step(overlay: _Overlay) -> tuple[Floats, Floats]:
    """(P, 4) change of the places that a Gauss-Newton step takes back, (P,) by how much of the mean square."""
    pairs, side, _ = overlay.inner.shape
    pixels = np.float32(side / GREY_SIDE)
    offsets = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
    down, right = (
        gradient * overlay.inside for gradient in gradients(overlay.inner + np.float32(0.5) * overlay.difference)
    )
    slopes = np.stack([down * offsets[:, None], down * pixels, right * offsets, right * pixels], axis=1)
    slopes = slopes.reshape(pairs, 4, side**2)
    normal = slopes @ slopes.transpose(0, 2, 1)
    stay = np.trace(normal, axis1=1, axis2=2)[:, None] * np.float32(1e-5) + _STAY
    normal += stay[:, :, None] * np.eye(4, dtype=np.float32)
    along = slopes @ overlay.difference.reshape(pairs, side**2, 1)
    steps: Floats = np.linalg.solve(normal, along)
    explained = (steps * along).sum(axis=(1, 2)) / np.maximum(overlay.inside.sum(axis=(1, 2)), 1)
    return steps[:, :, 0], explained
