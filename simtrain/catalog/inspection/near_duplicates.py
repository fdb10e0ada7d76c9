"""Near-duplicate search by fingerprints: images that differ by size, compression or a slight crop only."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.inspection.alignment import misfits
from simtrain.catalog.inspection.candidates import CandidateSearch
from simtrain.catalog.inspection.dct_descriptor import CROPS
from simtrain.catalog.inspection.fingerprint import FINGERPRINT_BYTES, fingerprint, is_plain, mirror_images
from simtrain.console import SILENT, Console

__all__ = ["FINGERPRINT_BYTES", "NearDuplicate", "fingerprint", "near_duplicates"]

_THREADS, _AT_ONCE = 2, 4096
"""Parts that are looked at side by side, and pairs laid over each other at once."""

_STRICT, _LOOSE = 1.0, 2.0
"""Largest misfits of pairs that count, and of those worth a second opinion."""


@dataclass(frozen=True, kw_only=True)
class NearDuplicate:
    """A pair of near duplicates.

    Attributes:
        first: Row of one image.
        second: Row of the other image, larger than `first`.
        similarity: 1 equal, 0.5 the least that counts without a second opinion, down to 0.2.
        mirrored: Whether one is the other's mirror image.
    """

    first: int
    second: int
    similarity: float
    mirrored: bool


def near_duplicates(
    fingerprints: NDArray[np.uint8], *, mirrored: bool, loose: bool, console: Console = SILENT
) -> list[NearDuplicate]:
    """Pairs of images that differ by no more than size, JPEG compression down to quality 50 or a slight crop.

    Pictures that show next to nothing have no near duplicates. Of images with equal fingerprints, each is paired with
    the first of them alone, and only that one with others: a thousand copies would make half a million pairs. Of more
    than a few dozen near copies of one picture, not each pair is given, but enough that they hang together.

    Args:
        fingerprints: (N, `FINGERPRINT_BYTES`) uint8 fingerprints.
        mirrored: Find mirrored copies too; a pair that is alike both ways counts as not mirrored.
        loose: Give doubtful pairs too, of a similarity below 0.5.
        console: Shows how much of the search is done.

    Returns:
        Sorted by `first`, then `second`; each pair once.

    Raises:
        ValueError: if `fingerprints` is of another shape.
    """
    if fingerprints.ndim != 2 or fingerprints.shape[1] != FINGERPRINT_BYTES:
        raise ValueError(f"fingerprints is {fingerprints.shape}; it has to be (N, {FINGERPRINT_BYTES})")
    shown = np.flatnonzero(~is_plain(fingerprints))
    first_of: dict[bytes, int] = {}
    found: dict[tuple[int, int], NearDuplicate] = {}
    for row in shown.tolist():
        first = first_of.setdefault(blake2b(fingerprints[row].tobytes(), digest_size=16).digest(), row)
        if first != row:
            found[first, row] = NearDuplicate(first=first, second=row, similarity=1.0, mirrored=False)
    if not first_of:
        return []
    rows = np.array(list(first_of.values()))
    for flip in [False, True] if mirrored else [False]:
        for near in _among(fingerprints, rows, mirrored=flip, largest=_LOOSE if loose else _STRICT, console=console):
            known = found.get((near.first, near.second))
            if known is None or (known.similarity < 0.5 <= near.similarity):
                found[near.first, near.second] = near
    return [near for _, near in sorted(found.items())]


def _among(
    fingerprints: NDArray[np.uint8], rows: NDArray[np.int64], *, mirrored: bool, largest: float, console: Console
) -> Iterator[NearDuplicate]:
    """Pairs among the images of some rows, whose fingerprints are different ones."""
    search = CandidateSearch(fingerprints, rows, mirrored=mirrored)

    def look(part: int) -> list[NearDuplicate]:
        found = []
        for pairs in search.pairs(part):
            for start in range(0, len(pairs.inner), _AT_ONCE):
                some = pairs[np.arange(start, min(start + _AT_ONCE, len(pairs.inner)))]
                outer = fingerprints[some.outer]
                misfit = misfits(
                    fingerprints[some.inner], mirror_images(outer) if mirrored else outer, CROPS[some.crop]
                )
                for pair in np.flatnonzero(misfit <= largest).tolist():
                    first, second = sorted((int(some.inner[pair]), int(some.outer[pair])))
                    similarity = 1 / (1 + float(misfit[pair]) ** 2)
                    found.append(NearDuplicate(first=first, second=second, similarity=similarity, mirrored=mirrored))
        return found

    told = "looking for mirrored copies" if mirrored else "looking for near duplicates"
    with ThreadPoolExecutor(_THREADS) as executor:
        for found in console.bar(executor.map(look, range(search.parts)), search.parts, told):
            yield from found
