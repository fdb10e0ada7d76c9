"""Exact and near copies of images in a retrieval task: counted, merged, left out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simtrain.catalog.table import Catalog
from simtrain.evaluation.equal_codes import NO_CODE, row_codes


def near_copied(copies: NDArray[np.int64], is_query: NDArray[np.bool_], in_gallery: NDArray[np.bool_]) -> int:
    """Number of queries that have another image of their duplicate group in the gallery.

    Args:
        copies: (N,) code of each image's duplicate group; -1: it has no near copy.
        is_query: (N,) whether the image is a query.
        in_gallery: (N,) whether the image is in the gallery.
    """
    sizes = np.bincount(copies[in_gallery] + 1, minlength=int(copies.max(initial=NO_CODE)) + 2)
    others = sizes[copies + 1] - in_gallery
    return int((is_query & (copies != NO_CODE) & (others > 0)).sum())


def copied_queries(catalog: Catalog, is_query: NDArray[np.bool_], in_gallery: NDArray[np.bool_]) -> int:
    """Number of queries that have another image of equal pixels in the gallery.

    Args:
        catalog: Catalogue of N images.
        is_query: (N,) whether the image is a query.
        in_gallery: (N,) whether the image is in the gallery.
    """
    taking_part = np.flatnonzero(is_query | in_gallery)
    pictures, is_query, in_gallery = picture_codes(catalog, taking_part), is_query[taking_part], in_gallery[taking_part]
    sizes = np.bincount(pictures[in_gallery], minlength=int(pictures.max(initial=-1)) + 1)
    return int((sizes[pictures[is_query]] > in_gallery[is_query]).sum())


def without_copies(
    catalog: Catalog, groups: Sequence[NDArray[np.int64]], is_query: NDArray[np.bool_], in_gallery: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """One image for all exact copies that have the same groups: the first of them.

    Args:
        catalog: Catalogue of N images.
        groups: Codes of the images, (N,) each; copies that differ in one of them are all kept.
        is_query: (N,) whether the image is a query.
        in_gallery: (N,) whether the image is in the gallery.

    Returns:
        Catalogue rows that remain, ascending; (N,) whether the image or a copy that it stands for is a query; (N,) the
        same for the gallery.
    """
    taking_part = np.flatnonzero(is_query | in_gallery)
    pictures = picture_codes(catalog, taking_part)
    kinds = row_codes(np.stack([pictures, *(codes[taking_part] for codes in groups)], axis=1))
    _, first, kind = np.unique(kinds, return_index=True, return_inverse=True)
    representative = taking_part[first][kind]
    any_query, any_in_gallery = np.zeros_like(is_query), np.zeros_like(in_gallery)
    np.logical_or.at(any_query, representative, is_query[taking_part])
    np.logical_or.at(any_in_gallery, representative, in_gallery[taking_part])
    return np.sort(taking_part[first]).astype(np.int64), any_query, any_in_gallery


def picture_codes(catalog: Catalog, rows: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """One number per row, equal where the decoded pictures are equal (without their hashes: where the files are).

    Args:
        catalog: Catalogue of the images.
        rows: (n,) catalogue rows that are numbered; None: all.
    """
    exact = next((column for column in ("pixel_sha256", "sha256") if column in catalog.rows.columns), None)
    places = np.arange(len(catalog.rows) if rows is None else len(rows), dtype=np.int64)
    if exact is None:
        return places
    hashes = catalog.rows[[exact]]
    codes = replace(catalog, rows=hashes if rows is None else hashes.iloc[rows]).groups([exact])
    return np.where(codes >= 0, codes, codes.max(initial=-1) + 1 + places)
