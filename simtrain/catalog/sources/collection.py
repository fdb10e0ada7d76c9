"""A collection of images to embed: ids and files of a source, or of a catalogue that was prepared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simtrain.catalog.sources.opened import expanded
from simtrain.catalog.sources.opening import Opening, open_source
from simtrain.catalog.table import CATALOG_FILE, read_catalog
from simtrain.config import PrepareConfig

_LOST = ("left_out", "rows_left_out", "paths_not_found", "pictures_not_read", "other_files", "paths_mended", "clutter")
"""Kinds of findings of a source that say which images are not among its rows, or are another file than was named."""


@dataclass(frozen=True, kw_only=True)
class Collection:
    """The images of a source.

    Attributes:
        root: Folder that the paths start from.
        ids: Unique ids.
        paths: File of each, POSIX, relative to the root.
        findings: What the source names that is not among them, or is another file than was named.
    """

    root: Path
    ids: Sequence[str]
    paths: Sequence[str]
    findings: Sequence[dict[str, Any]]


def open_collection(source: str, *, config: PrepareConfig, opening: Opening) -> Collection:
    """The images of a source of `prepare`, or of a catalogue that it made.

    Raises:
        CatalogError: if there is no such source, or it cannot be read with these settings.
    """
    place = expanded(source)
    if place.name == CATALOG_FILE or (place / CATALOG_FILE).is_file():
        catalog = read_catalog(place)
        ids, paths = (catalog.rows[name].tolist() for name in ("id", "path"))
        return Collection(root=catalog.root.resolve(), ids=ids, paths=paths, findings=[])
    opened = open_source(source, config=config, opening=opening).source
    return Collection(
        root=opened.root.resolve(),
        ids=opened.rows["id"].tolist(),
        paths=opened.rows["path"].tolist(),
        findings=[found for found in opened.findings if found["kind"] in _LOST],
    )
