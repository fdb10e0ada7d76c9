"""Source of images in a folder: class folders, nested or flat."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from simtrain.catalog.images import IMAGE_SUFFIXES
from simtrain.catalog.sources.folder_splits import conventional_parts
from simtrain.catalog.sources.likely_pattern import likely_pattern_findings
from simtrain.catalog.sources.product_pattern import products_from_paths
from simtrain.catalog.sources.source import (
    COMPUTED,
    PARTS,
    Source,
    boolean_of,
    source_rows,
    split_of,
    text_column,
)
from simtrain.catalog.sources.walk import Listing
from simtrain.errors import CatalogError

_LARGEST_SHARE_LEFT_OUT = 0.2


def read_folder(listing: Listing, *, levels: Sequence[str] | None, product_pattern: str | None) -> Source:
    """The images below a folder, in the order of the sorted relative paths.

    Args:
        listing: The folder and what lies below it.
        levels: What its nested folders mean, outermost first; null: train, val or test (or a usual synonym, in any
            case), outermost or at one depth throughout, is the split and the rest of the folder's path is the label.
        product_pattern: Regular expression whose one group gives the product from the relative path; null: none.

    Raises:
        CatalogError: if there is no image, or `levels` or `product_pattern` do not fit.
    """
    root, paths = listing.root, listing.images
    if not paths:
        raise CatalogError(_nothing_found(listing))
    findings = listing.account()
    further: dict[str, pd.Series] = {}
    if levels is None:
        parts, told = conventional_parts(paths)
        findings += told
    else:
        paths, odd = _of_depth(listing.folder, paths, levels=levels)
        findings += odd
        parts, further = _levels_as_columns(listing.folder, paths, levels=levels)
    if product_pattern is not None:
        if "product" in parts:
            raise CatalogError(f"{root}: both levels and product_pattern give the product; keep one of them")
        parts["product"], missed = products_from_paths(paths, ids=paths, pattern=product_pattern)
        findings += missed
    elif "product" not in parts:
        findings += likely_pattern_findings(paths)
    return Source(rows=source_rows({"path": paths, **parts}, further), root=root, findings=findings)


def _nothing_found(listing: Listing) -> str:
    looked_for = f"looked for {', '.join(sorted(IMAGE_SUFFIXES))}"
    account = [
        str(finding["message"])
        for finding in listing.account()
        if finding["kind"] in ("pictures_not_read", "other_files", "clutter")
    ]
    seen = account or ["it holds no other files"]
    left_out = [f"{finding['path']}: {finding['reason']}" for finding in listing.findings]
    more = f"; left out {len(left_out)}, the first: {left_out[0]}" if left_out else ""
    return f"{listing.folder}: no images in it or below it: {looked_for}; {'; '.join(seen)}{more}"


def _of_depth(root: Path, paths: Sequence[str], *, levels: Sequence[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """The images that lie as deep as the levels say, and the others, if they are at most a fifth, as findings."""
    _check_levels(levels)
    asked = f"levels [{', '.join(levels)}] ask for {len(levels)}"
    depths = {path: len(PurePosixPath(path).parent.parts) for path in paths}
    odd = [path for path in paths if depths[path] != len(levels)]
    if len(odd) > _LARGEST_SHARE_LEFT_OUT * len(paths):
        raise CatalogError(f"{root / odd[0]}: folder depth {depths[odd[0]]}; {asked}")
    left_out = [{"kind": "left_out", "path": path, "reason": f"folder depth {depths[path]}; {asked}"} for path in odd]
    return [path for path in paths if depths[path] == len(levels)], left_out


def _levels_as_columns(
    root: Path, paths: Sequence[str], *, levels: Sequence[str]
) -> tuple[dict[str, Sequence[Any]], dict[str, pd.Series]]:
    folders = [PurePosixPath(path).parent.parts for path in paths]
    parts: dict[str, Sequence[Any]] = {}
    further: dict[str, pd.Series] = {}
    for position, level in enumerate(levels):
        values = [names[position] for names in folders]
        places = [str(root / path) for path in paths]
        if level == "split":
            parts[level] = [split_of(value, where=place) for value, place in zip(values, places, strict=True)]
        elif level in ("query", "gallery"):
            parts[level] = [boolean_of(value, where=place) for value, place in zip(values, places, strict=True)]
        elif level in PARTS:
            parts[level] = values
        else:
            further[level] = text_column(values)
    return parts, further


def _check_levels(levels: Sequence[str]) -> None:
    for level in levels:
        if level in ("id", "path", *COMPUTED) or not level.strip():
            raise CatalogError(f"levels [{', '.join(levels)}]: a folder cannot give the column '{level}'")
        if list(levels).count(level) > 1:
            raise CatalogError(f"levels [{', '.join(levels)}]: '{level}' stands twice")
