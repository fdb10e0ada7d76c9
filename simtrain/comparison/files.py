"""Files of a comparison: `comparison.json` and `comparison.html`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import simplejpeg

from simtrain.catalog.changed_rows import with_changed_rows
from simtrain.catalog.store.reduction import reduced
from simtrain.catalog.table import read_catalog
from simtrain.comparison.report import report_page
from simtrain.comparison.result import ComparisonReport
from simtrain.data.changed_pictures import open_judged_images
from simtrain.errors import CatalogError, CheckpointError
from simtrain.files import json_bytes, write_together
from simtrain.locks import written_by_one

_QUALITY = 80


def write_comparison(report: ComparisonReport, *, json_file: Path, page: Path) -> None:
    """Write both or none of them, so that the page shows what the figures say; after another comparison that writes.

    Raises:
        CheckpointError: if a file cannot be written.
    """
    contents = {
        json_file: json_bytes(report.to_dict()),
        page: report_page(report, thumbnail=thumbnails(Path(report.catalog))),
    }
    with written_by_one(json_file, error=CheckpointError):
        write_together(contents, error=CheckpointError)


def thumbnails(folder: Path) -> Callable[[int, int], bytes | None]:
    """Catalogue row and side in pixels -> JPEG thumbnail; None if the image cannot be read."""
    images = open_judged_images(with_changed_rows(read_catalog(folder)), smallest=1).reader

    def thumbnail(row: int, side: int) -> bytes | None:
        try:
            picture = images.read(row, at_least=side)
        except CatalogError:
            return None
        return bytes(simplejpeg.encode_jpeg(reduced(picture, side=side), quality=_QUALITY))

    return thumbnail
