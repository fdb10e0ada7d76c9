"""Candidate search for near duplicates: pairs of fingerprints that may show one image, in three steps of rising cost.

A copy may be cropped, which moves its description far, but in a few directions. Among pictures that are alike, these
directions are alike too: a box of them is compared with all other pictures by a distance that counts little what lies
along them, at the price of one product of matrices. What is left is compared crop by crop, freed of what a small shift
or stretch explains (P. Simard, Y. LeCun and J. Denker, Efficient pattern recognition using a new transformation
distance, 1993), and of that the nearest few are kept.
"""

# Shapes: N fingerprints, L boxes, D numbers that describe an image, P pairs, V variants.
# Of a pair, one picture is the inner one and the other the outer one: the inner picture may be a crop of the outer.

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.inspection.dct_descriptor import (
    CROPS,
    NUDGES,
    STEPS,
    Fingerprints,
    Floats,
    Rows,
    descriptions,
    moves,
    places_of_means,
)
from simtrain.catalog.inspection.fingerprint import sides

_FARTHEST = 3.0
"""Squared distance, over the largest that a crop of either picture has, up to which to look at pairs crop by crop."""

_WIDTH_ELSEWHERE, _WIDTH_UNKNOWN, _WIDTH_OF_NOISE = 0.004, 0.1, 0.25
"""What the first distance expects of copies outside the directions of crops: a share of the variance along them, and
that is larger for fewer images by the second number over how many, and grey levels."""

_NEAR, _NEAR_UNEXPLAINED = 0.1, 0.03
"""Bounds on the squared distance over the smaller energy, and on what of it a shift or stretch does not explain. Two
photographs are 2 apart, two T-shirts 0.3; of copies planted among photographs, renders and clothes, 95 % or more are
within, down to pictures of 28 pixels."""

_MOST_NEAR, _MOST_CANDIDATES = 512, 32
"""Of the pictures after one in the order of the search, so many are compared with it crop by crop, and so many of them
are given out. Copies are the nearest, so that of more copies than that, each leads to the next."""

_ENERGY_FLOOR = 4.0
"""Grey levels squared that noise may do to a picture without contrast, added to every energy."""

_LARGEST_ASPECT_CHANGE = 0.13
"""Of the logarithm of height / width: 12 % cut from one side."""

_BOX, _OTHERS_AT_ONCE, _PAIRS_AT_ONCE = 256, 4096, 4096
"""Images per box of similar ones; images compared with a box at once; pairs compared crop by crop at once."""

_TRIED = 2
"""Ways in which one picture of a pair may be a crop of the other that are tried: those that promise most."""

_LARGEST = np.array([0.1, 0.8, 0.1, 0.8], dtype=np.float32)
"""Changes of the numbers of a crop that the first distance expects of copies."""

_LEAST_REACH = 0.1
"""What noise adds to the reach of a picture that crops hardly change."""


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
        fingerprints: (N, `FINGERPRINT_BYTES`) uint8 fingerprints of all images.
        rows: Row numbers of the images to compare, at least one.
        mirrored: Compare images with mirror images instead.
    """

    def __init__(self, fingerprints: Fingerprints, rows: Rows, *, mirrored: bool) -> None:
        whole = descriptions(fingerprints, rows, crop=CROPS[0], mirrored=False).astype(np.float32)
        order = _neighbours_together(whole)
        self._rows = rows[order]
        self._inner = whole[order]
        self._inner_moves = moves(fingerprints, self._rows, mirrored=False)
        self._inverses = _inverses(self._inner_moves)
        self._outer = [descriptions(fingerprints, self._rows, crop=crop, mirrored=mirrored) for crop in CROPS]
        self._others = self._outer[0].astype(np.float32) if mirrored else self._inner
        self._outer_moves = moves(fingerprints, self._rows, mirrored=True) if mirrored else self._inner_moves
        self._variants = _variants(mirrored=mirrored)
        changes = (self._changes(box) for box in range(self._boxes))
        self._metrics, reaches = zip(*(_metric_and_reaches(*change) for change in changes), strict=True)
        self._reaches = np.concatenate(reaches)
        heights, widths = np.maximum(sides(fingerprints[self._rows]), 1).T
        self._log_aspects = np.log(heights / widths)

    @property
    def parts(self) -> int:
        """How many calls of `pairs`, each of about the same work, look at all pairs."""
        return (self._boxes + 1) // 2

    def pairs(self, part: int) -> Iterator[Candidates]:
        """The pairs, as rows, between the images of two boxes and those after them: each pair once."""
        for box in sorted({part, self._boxes - 1 - part}):
            pairs = self._explained(*self._near(box))
            yield Candidates(inner=self._rows[pairs.inner], outer=self._rows[pairs.outer], crop=pairs.crop)

    @property
    def _boxes(self) -> int:
        return -(-len(self._rows) // _BOX)

    def _images(self, box: int) -> Rows:
        return np.arange(box * _BOX, min((box + 1) * _BOX, len(self._rows)))

    def _changes(self, box: int) -> tuple[Floats, Floats]:
        """What crops, and what the largest stretches and shifts, do to the descriptions of the outer pictures."""
        images = self._images(box)
        crops = np.stack([outer[images] for outer in self._outer], axis=1).astype(np.float32)
        return crops[:, 1:] - crops[:, :1], self._outer_moves[images] * (_LARGEST / NUDGES)[:, None]

    def _near(self, box: int) -> tuple[Rows, Rows]:
        """Positions of the images of a box, and of later ones that come near as if cropped like others of the box."""
        first, metric = self._images(box), self._metrics[box]
        middle = self._others[first].mean(axis=0)
        ours = _as_factors((self._others[first] - middle) @ metric, self._reaches[first], last=False)
        # |a - b|² < bound · mean reach of a and b means a·b > half (|a|² - bound · half its reach) + the same of b.
        hits = []
        for start in range(int(first[0]), len(self._rows), _OTHERS_AT_ONCE):
            some = slice(start, start + _OTHERS_AT_ONCE)
            others = _as_factors((self._inner[some] - middle) @ metric, self._reaches[some], last=True)
            closeness = (ours @ others.T).ravel()
            hit = np.flatnonzero(closeness > 0)
            one, two = first[hit // len(others)], start + hit % len(others)
            change = np.abs(self._log_aspects[one] - self._log_aspects[two])
            kept = (two > one) & (change < _LARGEST_ASPECT_CHANGE)
            one, two, distance = one[kept], two[kept], -closeness[hit[kept]]
            # At once, not only in the end: if all pictures are alike, all are near.
            nearest = _nearest_of_each(one, two, distance, most=_MOST_NEAR)
            hits.append((one[nearest], two[nearest], distance[nearest]))
        one, two, distance = (np.concatenate(column) for column in zip(*hits, strict=True))
        nearest = _nearest_of_each(one, two, distance, most=_MOST_NEAR)
        return one[nearest], two[nearest]

    def _explained(self, first: Rows, second: Rows) -> Candidates:
        """Of each first the nearest seconds, with the crop and in the roles that leave least unexplained."""
        parts = []
        for start in range(0, len(first), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            parts.append(self._best_variants(first[some], second[some]))
        if not parts:
            return Candidates(inner=first, outer=second, crop=first)
        inner, outer, crop, left = (np.concatenate(column) for column in zip(*parts, strict=True))
        near = np.flatnonzero(left < _NEAR_UNEXPLAINED)
        nearest = near[_nearest_of_each(first[near], second[near], left[near], most=_MOST_CANDIDATES)]
        return Candidates(inner=inner[nearest], outer=outer[nearest], crop=crop[nearest])

    def _best_variants(self, first: Rows, second: Rows) -> tuple[Rows, Rows, Rows, Floats]:
        """(P,) each: the inner and the outer picture, the crop, and what that leaves unexplained."""
        difference = self._inner[first] - self._others[second]
        moved = (self._inner_moves[first] + self._outer_moves[second]) / 2
        along = (moved @ difference[:, :, None])[:, :, 0]
        normal = moved @ moved.transpose(0, 2, 1)
        # |difference - variant · moves|², but for |difference|², which all variants share.
        squares = (self._variants[:, :, None] * self._variants[:, None, :]).reshape(-1, 16)
        left = normal.reshape(-1, 16) @ squares.T - 2 * along @ self._variants.T
        tried = np.argsort(left, axis=1, kind="stable")[:, :_TRIED].ravel()
        one, two = first.repeat(_TRIED), second.repeat(_TRIED)
        reverse = tried >= len(CROPS)
        crop = np.where(reverse, tried - len(CROPS) + 1, tried)
        pairs = Candidates(inner=np.where(reverse, two, one), outer=np.where(reverse, one, two), crop=crop)
        unexplained = self._unexplained(pairs).reshape(-1, _TRIED)
        chosen = pairs[np.arange(len(first)) * _TRIED + unexplained.argmin(axis=1)]
        return chosen.inner, chosen.outer, chosen.crop, unexplained.min(axis=1)

    def _unexplained(self, pairs: Candidates) -> Floats:
        """(P,) squared distance that no shift or stretch explains over the smaller energy; infinite if not near."""
        differences = self._inner[pairs.inner]
        energies = _energies(differences)
        for crop, outer in enumerate(self._outer):
            of_crop = np.flatnonzero(pairs.crop == crop)
            described = outer[pairs.outer[of_crop]].astype(np.float32)
            differences[of_crop] -= described
            energies[of_crop] = np.minimum(energies[of_crop], _energies(described))
        distances = (differences**2).sum(axis=1)
        near = np.flatnonzero(distances < _NEAR * energies)
        inner, moved = pairs.inner[near], differences[near, :, None]
        along = self._inner_moves[inner] @ moved
        explained = (along * (self._inverses[inner] @ along)).sum(axis=(1, 2))
        left = np.full(len(distances), np.inf, dtype=np.float32)
        left[near] = (distances[near] - explained) / energies[near]
        return left


def _energies(described: Floats) -> Floats:
    """(N,) squared length of descriptions without the means, and the floor."""
    squares = described**2
    energies: Floats = squares.sum(axis=1) - squares[:, places_of_means()].sum(axis=1)
    return energies + np.float32(_ENERGY_FLOOR * STEPS**2)


def _as_factors(described: Floats, reaches: Floats, *, last: bool) -> Floats:
    """(N, D + 2), whose products with those of others are positive where these are within reach."""
    halves = ((described**2).sum(axis=1) - _FARTHEST / 2 * reaches)[:, None] / 2
    ones = np.ones_like(halves)
    return np.concatenate([described, ones, halves] if last else [described, -halves, -ones], axis=1)


def _variants(*, mirrored: bool) -> Floats:
    """(V, 4): how many nudges the second picture is to be moved by to be the first: its `CROPS`, and the reverse."""
    forth = (CROPS - CROPS[0]) / NUDGES
    back = -forth[1:]
    if mirrored:  # what is cut off the mirror image of the first picture on the right, is on the left of it
        back[:, 3] *= -1
    variants: Floats = np.concatenate([forth, back]).astype(np.float32)
    return variants


def _metric_and_reaches(crops: Floats, stretches: Floats) -> tuple[Floats, Floats]:
    """A matrix after which descriptions are as far apart as they are unlikely to be of copies; how far crops then are.

    Args:
        crops: (B, V, D), what crops do to the descriptions of alike images.
        stretches: (B, 4, D), what stretches and shifts do to them.

    Returns:
        (D, D) and (B,), the largest squared distance of a crop.
    """
    changes = np.concatenate([crops, stretches], axis=1).reshape(-1, crops.shape[2]).astype(np.float64)
    values, vectors = np.linalg.eigh(changes.T @ changes / len(crops))
    elsewhere = _WIDTH_ELSEWHERE + _WIDTH_UNKNOWN / len(crops)
    expected = values.clip(min=0) + elsewhere * values.sum() + (_WIDTH_OF_NOISE * STEPS) ** 2
    metric = (vectors / np.sqrt(expected)).astype(np.float32)
    return metric, ((crops @ metric) ** 2).sum(axis=2).max(axis=1) + np.float32(_LEAST_REACH)


def _inverses(moved: Floats) -> Floats:
    """(N, 4, 4) inverse products of what nudges do; what a nudge does not do to a picture is left out."""
    normal = moved @ moved.transpose(0, 2, 1)
    return np.linalg.pinv(normal, rcond=1e-3, hermitian=True)


def _nearest_of_each(first: Rows, second: Rows, distance: Floats, *, most: int) -> Rows:
    """Which pairs to keep so that each first has no more than so many seconds, the nearest; in order of the firsts."""
    order = np.lexsort((second, distance, first))
    ordered = first[order]
    rank = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return order[rank < most]


def _neighbours_together(described: Floats) -> Rows:
    """An order of the images in which those of a box are alike: halves along the widest number, again and again."""
    order = np.arange(len(described))
    pending = [(0, len(order))]
    while pending:
        start, stop = pending.pop()
        boxes = -(-(stop - start) // _BOX)
        if boxes > 1:
            inside = described[order[start:stop]]
            widest = int(np.argmax(inside.var(axis=0)))
            order[start:stop] = order[start:stop][np.argsort(inside[:, widest], kind="stable")]
            middle = start + boxes // 2 * _BOX
            pending += [(start, middle), (middle, stop)]
    return order
