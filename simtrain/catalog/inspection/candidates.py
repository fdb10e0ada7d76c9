"""Pairs of fingerprints that may show one picture, found among all pairs by a few numbers that describe each.

The numbers are the lowest cosines of the grey and colour copies, as in a perceptual hash (C. Zauner, Implementation and
benchmarking of perceptual image hash functions, 2010), but kept as numbers instead of bits. A crop moves them far, so
that each picture is also described as a few crops of it would be; what is left of a difference is freed of what a small
shift or stretch explains, the tangent distance of P. Simard, Y. LeCun and J. Denker (Efficient pattern recognition
using a new transformation distance, 1993).
"""

# Shapes: N fingerprints, L boxes, K cosines along a side, D numbers that describe an image, P pairs.
# Of a pair, one picture is the inner one and the other the outer one: the inner picture may be a crop of the outer.

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.inspection.fingerprint import (
    COLOUR_SIDE,
    GREY_SIDE,
    colour_copies,
    grey_copies,
    mirror_images,
    sides,
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

_NUDGES = np.diag([0.01, 0.3, 0.01, 0.3]).astype(np.float32)
"""Small changes of such four numbers: their effects span what a shift or stretch explains."""

_GREY_COSINES, _COLOUR_COSINES = 9, 3
"""Along a side; of them those are kept whose frequencies, down and right, sum up to less."""

_STEPS = 8
"""Per grey level: descriptions are whole numbers, whose products are exact in single precision in any order."""

_NEAR, _NEAR_UNEXPLAINED = 0.1, 0.03
"""Bounds on the squared distance over the smaller energy, and on what of it a shift or stretch does not explain. Two
photographs are 2 apart, two T-shirts 0.3; of copies planted among photographs, renders and clothes, 95 % or more are
within, down to pictures of 28 pixels."""

_ENERGY_FLOOR = 4.0
"""Grey levels squared that noise may do to a picture without contrast, added to every energy."""

_LARGEST_ASPECT_CHANGE = 0.13
"""Of the logarithm of height / width: 12 % cut from one side."""

_AT_ONCE = 4096
"""Images described at once."""

_BOX, _BOXES_AT_ONCE = 256, 4
"""Images per box of descriptions, of which two too far apart are passed over whole; boxes compared with one at once."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Pairs to look at closely: the inner and the outer pictures, and the rows of `CROPS` that fit; (P,) each."""

    inner: Rows
    outer: Rows
    crop: Rows

    def __getitem__(self, which: NDArray[Any]) -> "Candidates":
        return Candidates(inner=self.inner[which], outer=self.outer[which], crop=self.crop[which])


class CandidateSearch:
    """Finds pairs of images of which one, or its mirror image, may show the same as the other or a crop of it.

    Args:
        fingerprints: (N, `FINGERPRINT_BYTES`).
        rows: Of the images to compare, at least one.
        mirrored: Compare images with mirror images instead.
    """

    def __init__(self, fingerprints: Fingerprints, rows: Rows, *, mirrored: bool) -> None:
        whole = _describe(fingerprints, rows, crop=CROPS[0], mirrored=False)
        order = _neighbours_together(whole)
        self._rows = rows[order]
        self._inner = _Described(whole[order], as_outer=False)
        self._outer = [
            _Described(_describe(fingerprints, self._rows, crop=crop, mirrored=mirrored), as_outer=True)
            for crop in CROPS
        ]
        self._spans = _spans(fingerprints, self._rows)
        heights, widths = np.maximum(sides(fingerprints[self._rows]), 1).T
        self._log_aspects = np.log(heights / widths)

    @property
    def parts(self) -> int:
        """How many calls of `pairs` look at all pairs."""
        return len(self._inner.reach)

    def pairs(self, part: int) -> Iterator[Candidates]:
        """The pairs, as rows, between the images of one part and those of it and the later parts: each pair once."""
        first = np.arange(part * _BOX, min((part + 1) * _BOX, len(self._rows)))
        boxes = part + np.flatnonzero(self._within_reach(part))
        for start in range(0, len(boxes), _BOXES_AT_ONCE):
            some = boxes[start : start + _BOXES_AT_ONCE]
            second = (some[:, None] * _BOX + np.arange(_BOX)).ravel()
            pairs = self._explained(self._near(first, second[second < len(self._rows)]))
            yield Candidates(inner=self._rows[pairs.inner], outer=self._rows[pairs.outer], crop=pairs.crop)

    def _within_reach(self, part: int) -> NDArray[np.bool_]:
        """Which of the boxes from `part` on may hold an image near one of it."""
        reached = np.zeros(self.parts - part, dtype=bool)
        for outer in self._outer:
            for one, many in ((self._inner, outer), (outer, self._inner)):
                gaps = np.maximum(many.lows[part:] - one.highs[part], one.lows[part] - many.highs[part:]).clip(min=0)
                reached |= (gaps**2).sum(axis=1) <= np.minimum(many.reach[part:], one.reach[part])
        return reached

    def _near(self, first: Rows, second: Rows) -> Candidates:
        """Positions of the pairs whose coarse descriptions are near."""
        hits = []
        for crop, outer in enumerate(self._outer):
            one, two = np.nonzero(self._inner.factors[first] @ outer.factors[second].T > 0)
            hits.append((first[one], second[two], np.full(len(one), crop)))
            if crop:
                two, one = np.nonzero(self._inner.factors[second] @ outer.factors[first].T > 0)
                hits.append((second[two], first[one], np.full(len(one), crop)))
        inner, outer_, crops = (np.concatenate(column) for column in zip(*hits, strict=True))
        pairs = Candidates(inner=inner, outer=outer_, crop=crops)
        change = np.abs(self._log_aspects[pairs.inner] - self._log_aspects[pairs.outer])
        return pairs[(pairs.inner != pairs.outer) & (change < _LARGEST_ASPECT_CHANGE)]

    def _explained(self, pairs: Candidates) -> Candidates:
        """Each pair once, with the crop and in the roles that leave least unexplained, if that is within bounds."""
        starts = range(0, len(pairs.inner), _AT_ONCE)
        parts = [
            self._unexplained(pairs[np.arange(start, min(start + _AT_ONCE, len(pairs.inner)))]) for start in starts
        ]
        left = np.concatenate([np.empty(0, dtype=np.float32), *parts])
        pairs, left = pairs[left < _NEAR_UNEXPLAINED], left[left < _NEAR_UNEXPLAINED]
        order = np.lexsort((pairs.outer, pairs.crop, left))
        low, high = np.minimum(pairs.inner, pairs.outer), np.maximum(pairs.inner, pairs.outer)
        _, best = np.unique(low[order] * len(self._rows) + high[order], return_index=True)
        return pairs[order[best]]

    def _unexplained(self, pairs: Candidates) -> Floats:
        """(P,) squared distance that no shift or stretch explains over the smaller energy; infinite if not near."""
        differences = self._inner.values[pairs.inner]
        energies = self._inner.energies[pairs.inner]
        for crop, outer in enumerate(self._outer):
            of_crop = pairs.crop == crop
            differences[of_crop] -= outer.values[pairs.outer[of_crop]]
            energies[of_crop] = np.minimum(energies[of_crop], outer.energies[pairs.outer[of_crop]])
        distances = (differences**2).sum(axis=1)
        near = distances < _NEAR * energies
        explained = np.einsum("pkd,pd->pk", self._spans[pairs.inner[near]], differences[near])
        left = np.full(len(distances), np.inf, dtype=np.float32)
        left[near] = (distances[near] - (explained**2).sum(axis=1)) / energies[near]
        return left


class _Described:
    """Descriptions of N images, all as inner or all as outer ones, in the order of their boxes.

    Attributes:
        factors: (N, D + 2), whose products with those of the other role are positive where the distance may be near.
        values: (N, D), whole numbers.
        energies: (N,), squared length without the means, and the floor.
        lows: (L, D), smallest values in each box.
        highs: (L, D), largest.
        reach: (L,), squared distance at which an image of the box may still have a near one.
    """

    def __init__(self, values: Floats, *, as_outer: bool) -> None:
        values = np.rint(values)
        squares = values**2
        lengths = squares.sum(axis=1)
        self.energies = lengths - squares[:, _means()].sum(axis=1) + np.float32(_ENERGY_FLOOR * _STEPS**2)
        # |a - b|² < bound · (energy of a + energy of b) / 2, which the smaller implies, means a·b > half a + half b.
        halves = np.floor((lengths - _NEAR / 2 * self.energies) / 2)[:, None]
        ones = np.ones_like(halves)
        self.factors = np.concatenate([values, ones, halves] if as_outer else [values, -halves, -ones], axis=1)
        self.values = self.factors[:, :-2]
        starts = np.arange(0, len(values), _BOX)
        self.lows = np.minimum.reduceat(values, starts)
        self.highs = np.maximum.reduceat(values, starts)
        self.reach = _NEAR * np.maximum.reduceat(self.energies, starts)


def _means() -> list[int]:
    """Where the means of the copies stand in a description."""
    grey, colour = (len(_lowest(cosines)[0]) for cosines in (_GREY_COSINES, _COLOUR_COSINES))
    return [0, grey, grey + colour]


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


def _describe(fingerprints: Fingerprints, rows: Rows, *, crop: Floats, mirrored: bool) -> Floats:
    """(N, D) of these rows: the lowest cosines of the grey and colour copies of a crop, in steps of a grey level."""
    parts = []
    for start in range(0, len(rows), _AT_ONCE):
        some = fingerprints[rows[start : start + _AT_ONCE]]
        parts.append(_describe_some(mirror_images(some) if mirrored else some, crop=crop))
    return np.concatenate(parts)


def _describe_some(fingerprints: Fingerprints, *, crop: Floats) -> Floats:
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
    return (_STEPS * np.concatenate(parts, axis=1)).astype(np.float32)


def _spans(fingerprints: Fingerprints, rows: Rows) -> Floats:
    """(N, 4, D), orthonormal: how a small shift or stretch moves the descriptions of the rows; 0 if not at all."""
    parts = []
    for start in range(0, len(rows), _AT_ONCE):
        some = fingerprints[rows[start : start + _AT_ONCE]]
        moves = [
            _describe_some(some, crop=CROPS[0] + nudge) - _describe_some(some, crop=CROPS[0] - nudge)
            for nudge in _NUDGES
        ]
        directions, lengths = np.linalg.qr(np.stack(moves, axis=2))
        matter = np.abs(np.diagonal(lengths, axis1=1, axis2=2)) > 0.05 * _STEPS
        parts.append((directions * matter[:, None, :]).transpose(0, 2, 1))
    return np.concatenate(parts)


def _neighbours_together(descriptions: Floats) -> Rows:
    """An order of the images in which those of a box are alike: halves along the widest number, again and again."""
    order = np.arange(len(descriptions))
    pending = [(0, len(order))]
    while pending:
        start, stop = pending.pop()
        boxes = -(-(stop - start) // _BOX)
        if boxes > 1:
            inside = descriptions[order[start:stop]]
            widest = int(np.argmax(inside.var(axis=0)))
            order[start:stop] = order[start:stop][np.argsort(inside[:, widest], kind="stable")]
            middle = start + boxes // 2 * _BOX
            pending += [(start, middle), (middle, stop)]
    return order
