"""A collection of images to embed: ids and files of a source, or of a catalogue that was prepared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

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
        rows: `id` (unique), `path` (POSIX, relative to the root) and whatever columns the source has.
        sha256: SHA-256 of each file where a catalogue knows it; None: not known.
        findings: What the source names that is not among them, or is another file than was named.
    """

    root: Path
    rows: pd.DataFrame
    sha256: Sequence[str] | None
    findings: Sequence[dict[str, Any]]

    @property
    def ids(self) -> list[str]:
        """Unique ids."""
        return [str(identifier) for identifier in self.rows["id"]]

    @property
    def paths(self) -> list[str]:
        """File of each, POSIX, relative to the root."""
        return [str(path) for path in self.rows["path"]]


def open_collection(source: str, *, config: PrepareConfig, opening: Opening) -> Collection:
    """The images of a source of `prepare`, or of a catalogue that it made.

    Raises:
        CatalogError: if there is no such source, or it cannot be read with these settings.
    """
    place = expanded(source)
    if place.name == CATALOG_FILE or (place / CATALOG_FILE).is_file():
        catalog = read_catalog(place)
        return Collection(
            root=catalog.root.resolve(), rows=catalog.rows, sha256=catalog.rows["sha256"].tolist(), findings=[]
        )
    opened = open_source(source, config=config, opening=opening).source
    return Collection(
        root=opened.root.resolve(),
        rows=opened.rows,
        sha256=None,
        findings=[found for found in opened.findings if found["kind"] in _LOST],
    )
