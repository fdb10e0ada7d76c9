"""Texts and JSON files that name many images of the folder that they lie in, and are no table."""

import posixpath
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from simtrain.catalog.sources.walk import Listing

_MOST_FILES = 20
_LARGEST_FILE = 50 << 20
_LEAST_SHARE, _LEAST = 0.1, 3
_WORD = re.compile(r"[^\s\"',;|<>()\[\]{}=/\\\\]+")


def naming_file_findings(listing: Listing, *, told: Collection[str]) -> list[dict[str, Any]]:
    """A finding for each file that names a tenth of the images or more, such as `annotations.json` or `train.txt`.

    Args:
        listing: The folder.
        told: Tables that are told of otherwise.
    """
    images = {posixpath.basename(path) for path in listing.images}
    found: list[dict[str, Any]] = []
    for path in _candidates(listing, told=told):
        named = _named(listing, path, images)
        if named < max(_LEAST, _LEAST_SHARE * len(images)):
            continue
        message = (
            f"{path} names {named} of these images; it is not read. If it says what they are: write a table (.csv) "
            "with a row for each image and columns such as path, product, label and split, and give it as the source"
        )
        found.append({"kind": "naming_file", "path": path, "images": named, "message": message})
    return found


def files_looked_at(listing: Listing, *, told: Collection[str]) -> list[Path]:
    """The files that `naming_file_findings` opens: what it tells changes with them."""
    return [listing.root / path for path in _candidates(listing, told=told)]


def _candidates(listing: Listing, *, told: Collection[str]) -> list[str]:
    stems = {posixpath.splitext(path)[0] for path in listing.images} | set(listing.images)
    candidates = [
        path
        for path in sorted([*listing.sidecars, *listing.tables])
        if path not in told and posixpath.splitext(path)[0] not in stems and not path.endswith((".parquet", ".xlsx"))
    ]
    return candidates[:_MOST_FILES]


def _named(listing: Listing, path: str, images: set[str]) -> int:
    file = listing.root / path
    try:
        if file.stat().st_size > _LARGEST_FILE:
            return 0
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0  # it is told among the files that are not looked at
    return len(images.intersection(match.group() for match in _WORD.finditer(text)))
