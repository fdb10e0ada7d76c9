"""Writer of a synthetic catalogue: class folders of JPEGs and a manifest."""

import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2

from simtrain.files import whole_file
from simtrain.synthetic.products import SyntheticProduct, synthetic_products
from simtrain.synthetic.render import LARGEST, SMALLEST, render_view, view_scene

MANIFEST = "manifest.csv"
COLUMNS: tuple[str, ...] = (
    "path", "product", "label", "caption", "color", "accent_color", "pattern", "price", "view"
)  # fmt: skip


def write_synthetic_catalog(folder: Path, *, products: int, views: int, size: int, seed: int, workers: int) -> Path:
    """Writes `folder/<category>/<product>_<view>.jpg` and `folder/manifest.csv`.

    The manifest goes first (an old one) and comes last (the new one), so it never names an image that is not there.
    The same arguments give the same bytes, whatever `workers` is. Files of an earlier, larger catalogue stay.

    Args:
        folder: Folder to write to; made if missing.
        products: Number of products, >= 1.
        views: Pictures per product, >= 1; the first is the catalogue shot.
        size: Side of the square pictures, 32..1024 pixels.
        seed: The catalogue's seed, >= 0.
        workers: Number of processes that draw, >= 1; 1 draws in this process.

    Returns:
        The manifest's path. Its columns are COLUMNS; `path` is relative to the folder, `label` is the category and
        `caption` the title.

    Raises:
        ValueError: A number is out of its range.
    """
    for name, value in (("views", views), ("workers", workers)):
        if value < 1:
            raise ValueError(f"write_synthetic_catalog: {name} is {value}; it must be at least 1")
    if size < SMALLEST or size > LARGEST:
        raise ValueError(f"write_synthetic_catalog: size is {size}; it must lie in {SMALLEST}..{LARGEST}")
    catalog = synthetic_products(products, seed=seed)
    manifest = folder / MANIFEST
    manifest.unlink(missing_ok=True)
    for category in sorted({product.category for product in catalog}):
        (folder / category).mkdir(parents=True, exist_ok=True)
    write = partial(_write_product, folder=folder, views=views, size=size, seed=seed)
    _for_each(catalog, write=write, workers=workers)
    return _write_manifest(manifest, catalog=catalog, views=views)


def image_path(product: SyntheticProduct, *, view: int) -> Path:
    """Where a view lies, relative to the catalogue's folder."""
    return Path(product.category) / f"{product.product}_{view}.jpg"


def _for_each(catalog: list[SyntheticProduct], *, write: Callable[[SyntheticProduct], None], workers: int) -> None:
    if workers == 1:
        for product in catalog:
            write(product)
        return
    # Not fork: the caller may hold threads (torch, OpenCV) that a forked child would wait for.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_use_one_thread) as pool:
        for _ in pool.map(write, catalog, chunksize=8):
            pass


def _use_one_thread() -> None:
    # The processes already fill the cores; threads of OpenCV's own would only get in their way.
    cv2.setNumThreads(1)


def _write_product(product: SyntheticProduct, *, folder: Path, views: int, size: int, seed: int) -> None:
    for view in range(views):
        picture = render_view(product, view=view, size=size, seed=seed)
        quality = view_scene(product, view=view, seed=seed).quality
        path = folder / image_path(product, view=view)
        done, encoded = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise OSError(f"{path}: OpenCV could not encode the picture as JPEG")
        path.write_bytes(encoded.tobytes())


def _rows(catalog: list[SyntheticProduct], *, views: int) -> Iterator[tuple[str | int, ...]]:
    for product in catalog:
        for view in range(views):
            yield (
                image_path(product, view=view).as_posix(), product.product, product.category, product.title,
                product.color, product.accent_color, product.pattern, f"{product.price:.2f}", view,
            )  # fmt: skip


def _write_manifest(manifest: Path, *, catalog: list[SyntheticProduct], views: int) -> Path:
    with whole_file(manifest, sync=True) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_rows(catalog, views=views))
    return manifest
