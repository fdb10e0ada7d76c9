"""Exact and near copies of images in a retrieval task: counted, merged, left out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.table import Catalog
from simtrain.evaluation.exclusions import NO_CODE


def near_copied(copies: NDArray[np.int64], asks: NDArray[np.bool_], found: NDArray[np.bool_]) -> int:
    """Images that ask and have another image of their duplicate group in the gallery."""
    in_gallery = np.bincount(copies[found] + 1, minlength=int(copies.max(initial=NO_CODE)) + 2)
    others = in_gallery[copies + 1] - found
    return int((asks & (copies != NO_CODE) & (others > 0)).sum())


def copied_queries(catalog: Catalog, asks: NDArray[np.bool_], can_be_found: NDArray[np.bool_]) -> int:
    """Images that ask and have another image of equal pixels in the gallery."""
    pictures = _pictures(catalog)
    in_gallery = np.bincount(pictures[can_be_found], minlength=int(pictures.max(initial=-1)) + 1)
    return int((in_gallery[pictures[asks]] > can_be_found[asks]).sum())


def without_copies(
    catalog: Catalog, groups: Sequence[NDArray[np.int64]], asks: NDArray[np.bool_], can_be_found: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Rows that take part, one for all copies of the same groups; by row whether it or an exact copy asks, is found."""
    taking_part = np.flatnonzero(asks | can_be_found)
    kinds = np.stack([codes[taking_part] for codes in (_pictures(catalog), *groups)], axis=1)
    _, first, place = np.unique(kinds, axis=0, return_index=True, return_inverse=True)
    of_all = taking_part[first][place]
    one_asks, one_found = np.zeros_like(asks), np.zeros_like(can_be_found)
    np.logical_or.at(one_asks, of_all, asks[taking_part])
    np.logical_or.at(one_found, of_all, can_be_found[taking_part])
    return np.sort(taking_part[first]).astype(np.int64), one_asks, one_found


def _pictures(catalog: Catalog) -> NDArray[np.int64]:
    """One number per row, equal where the decoded pictures are equal (without their hashes: where the files are)."""
    exact = next((column for column in ("pixel_sha256", "sha256") if column in catalog.rows.columns), None)
    rows = np.arange(len(catalog.rows), dtype=np.int64)
    if exact is None:
        return rows
    found = catalog.groups([exact])
    return np.where(found >= 0, found, found.max(initial=-1) + 1 + rows)
