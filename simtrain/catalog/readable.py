"""The readable images of a source with their facts; unreadable files become findings."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from simtrain.catalog.inspection.duplicates import representatives
from simtrain.catalog.inspection.facts import ImageFacts
from simtrain.catalog.inspection.near_duplicates import FINGERPRINT_BYTES
from simtrain.catalog.sources import Source
from simtrain.errors import CatalogError


@dataclass(frozen=True, kw_only=True)
class ReadableImages:
    """The images of a source that can be read.

    Attributes:
        rows: As the source describes them, index 0..N-1.
        facts: Facts of each row's file, without its fingerprint.
        fingerprints: (N, `FINGERPRINT_BYTES`) uint8 fingerprints.
        findings: Findings of the source, and the files that cannot be read.
        group_columns: Columns of `rows` whose equal values keep images on one side of the split.
    """

    rows: pd.DataFrame
    facts: list[ImageFacts]
    fingerprints: NDArray[np.uint8]
    findings: list[dict[str, Any]]
    group_columns: tuple[str, ...]

    @property
    def contents(self) -> list[str]:
        """Hash of each image's pixels."""
        return [fact.pixel_sha256 for fact in self.facts]


def readable_images(source: Source, table: pa.Table, *, name: str) -> ReadableImages:
    """Join rows and facts, and leave out what cannot be read.

    Args:
        source: The source's rows.
        table: Columns of the record, one row for each different path of the source.
        name: The source as the user named it, for messages.

    Raises:
        CatalogError: if nothing can be read.
    """
    place_of = {path: place for place, path in enumerate(table["path"].to_pylist())}
    places = np.array([place_of[path] for path in source.rows["path"]], dtype=np.int64)
    facts = _facts(table)
    kept = np.array([facts[place].problem is None for place in places], dtype=bool)
    unreadable = [
        {
            "kind": "unreadable",
            "id": identifier,
            "path": path,
            "reason": facts[place].problem,
            "ids": [identifier],
            "message": f"{path}: {facts[place].problem}",
        }
        for identifier, path, place in zip(source.rows["id"], source.rows["path"], places, strict=True)
        if facts[place].problem is not None
    ]
    if not kept.any():
        first = unreadable[0]
        raise CatalogError(
            f"{name}: none of its {len(kept)} images can be read; the first: '{first['path']}' in {source.root}: "
            f"{first['reason']}"
        )
    return ReadableImages(
        rows=source.rows[kept].reset_index(drop=True),
        facts=[facts[place] for place in places[kept]],
        fingerprints=_fingerprints(table.take(pa.array(places[kept]))),
        findings=[*source.findings, *unreadable],
        group_columns=source.group_columns,
    )


def unique_images(images: ReadableImages) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Rows of one image for each different content, and their fingerprints."""
    rows = np.array(representatives(images.contents), dtype=np.int64)
    return rows, images.fingerprints[rows]


def _facts(table: pa.Table) -> list[ImageFacts]:
    names = ["width", "height", "sha256", "pixel_sha256", "contrast", "note", "problem"]
    values = zip(*(table[name].to_pylist() for name in names), strict=True)
    return [ImageFacts(fingerprint=b"", **dict(zip(names, row, strict=True))) for row in values]


def _fingerprints(table: pa.Table) -> NDArray[np.uint8]:
    content = b"".join(table["fingerprint"].to_pylist())
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, FINGERPRINT_BYTES)
