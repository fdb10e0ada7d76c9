"""Files of a comparison: `comparison.json` and `comparison.html`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import simplejpeg

from simtrain.catalog.store.reader import open_images
from simtrain.catalog.store.reduction import reduced
from simtrain.catalog.table import read_catalog
from simtrain.comparison.report import write_report
from simtrain.comparison.result import ComparisonReport
from simtrain.errors import CatalogError, CheckpointError
from simtrain.files import json_bytes, whole_file

_QUALITY = 80


def check_output_folder(folder: Path) -> None:
    """Make the folder, and see that files can be written there, before anything is embedded and any test figure read.

    Raises:
        CheckpointError: if it is no folder, or cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise CheckpointError(f"--out {folder}: cannot be written to: {error.strerror}") from None


def write_comparison(report: ComparisonReport, *, json_file: Path, page: Path) -> None:
    """Write both or none of them, so that the page shows what the figures say.

    Raises:
        CheckpointError: if a file cannot be written.
    """
    with whole_file(json_file, error=CheckpointError) as figures:
        figures.write_bytes(json_bytes(report.to_dict()))
        write_report(page, report, thumbnail=thumbnails(Path(report.catalog)))


def thumbnails(folder: Path) -> Callable[[int, int], bytes | None]:
    """Catalogue row and side in pixels -> JPEG thumbnail; None if the image cannot be read."""
    catalog = read_catalog(folder)
    images = open_images(catalog, smallest=1).reader

    def thumbnail(row: int, side: int) -> bytes | None:
        try:
            picture = images.read(row, at_least=side)
        except CatalogError:
            return None
        return bytes(simplejpeg.encode_jpeg(reduced(picture, side=side), quality=_QUALITY))

    return thumbnail
