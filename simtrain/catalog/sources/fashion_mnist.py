"""Fashion-MNIST (https://arxiv.org/abs/1708.07747) converted from its four files to images and a table."""

import csv
import gzip
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simtrain.console import Console
from simtrain.errors import CatalogError, system_reason
from simtrain.files import whole_file

# Shapes: N pictures of a split.

MANIFEST = "manifest.csv"
CLASSES: tuple[str, ...] = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
"""Names by number, as its authors give them."""

CAPTIONS: tuple[str, ...] = (
    "a photo of a t-shirt", "a photo of trousers", "a photo of a pullover", "a photo of a dress", "a photo of a coat",
    "a photo of a sandal", "a photo of a shirt", "a photo of a sneaker", "a photo of a bag", "a photo of an ankle boot",
)  # fmt: skip

_COLUMNS = ("id", "path", "label", "class_id", "caption", "split")
_SIDE = 28
_FILES = {"train": "train", "test": "t10k"}
_FOLDERS = (".", "raw", "FashionMNIST/raw", "usr/share/datasets/fashion-mnist")
"""As downloaded, as torchvision keeps them, as Debian's package lays them out."""

_IMAGES, _LABELS = 2051, 2049
"""First number of a file: unsigned bytes in three dimensions, in one."""

_MOST_BYTES = 1 << 30


def write_fashion_mnist(place: Path, folder: Path, *, console: Console) -> Path:
    """Write `images/<split>/<number>.png` and `manifest.csv`; the same files give the same bytes.

    Args:
        place: Folder of the four files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…` (or each with
            `.gz`), in it or in `FashionMNIST/raw` or `usr/share/datasets/fashion-mnist` below it.
        folder: Made if missing; files of these names are replaced. The manifest comes last.
        console: Shows how many pictures have been written.

    Returns:
        The manifest's path. Its columns are id, path (relative to the folder), label (the class's name), class_id (0
        to 9), caption and split (train or test).

    Raises:
        CatalogError: if a file is not there, is damaged or is no file of Fashion-MNIST; if `folder` cannot be written.
    """
    raw = _raw_folder(place)
    pictures: dict[str, NDArray[np.uint8]] = {}
    classes: dict[str, NDArray[np.uint8]] = {}
    for split, prefix in _FILES.items():
        pictures[split] = _read_images(_find(raw, f"{prefix}-images-idx3-ubyte"))
        classes[split] = _read_labels(_find(raw, f"{prefix}-labels-idx1-ubyte"), expected=len(pictures[split]))
    try:
        for split in _FILES:
            (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        rows = _written(pictures, classes, folder=folder)
        total = sum(map(len, pictures.values()))
        return _write_manifest(folder / MANIFEST, list(console.bar(rows, total, "writing images")))
    except OSError as error:
        raise CatalogError(f"{folder}: cannot be written to: {system_reason(error)}") from None


def _raw_folder(place: Path) -> Path:
    """The first folder with any of the files."""
    names = [f"{prefix}-{kind}" for prefix in _FILES.values() for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    for folder in (place / name for name in _FOLDERS):
        if any((folder / f"{name}{suffix}").is_file() for name in names for suffix in ("", ".gz")):
            return folder
    looked_in = ", ".join(str(place / name) for name in _FOLDERS)
    raise CatalogError(f"{place}: no Fashion-MNIST: looked for {names[0]} (or .gz) and three more in {looked_in}")


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise CatalogError(f"{folder / name}: no such file, nor {name}.gz; Fashion-MNIST is four files in one folder")


def _read_images(path: Path) -> NDArray[np.uint8]:
    """(N, 28, 28)."""
    (count, height, width), content = _read_idx(path, magic=_IMAGES, dimensions=3)
    if (height, width) != (_SIDE, _SIDE):
        raise CatalogError(f"{path}: not of Fashion-MNIST: its pictures have {width} x {height} pixels, not 28 x 28")
    return content.reshape(count, height, width)


def _read_labels(path: Path, *, expected: int) -> NDArray[np.uint8]:
    """(N), 0 to 9."""
    (count,), content = _read_idx(path, magic=_LABELS, dimensions=1)
    if count != expected:
        raise CatalogError(f"{path}: has {count} labels for {expected} pictures")
    if content.max() >= len(CLASSES):
        raise CatalogError(f"{path}: not of Fashion-MNIST: has a class {content.max()}; its classes are 0 to 9")
    return content


def _read_idx(path: Path, *, magic: int, dimensions: int) -> tuple[Sequence[int], NDArray[np.uint8]]:
    content = _read_bytes(path)
    header = 4 * (1 + dimensions)
    if len(content) < header:
        raise CatalogError(f"{path}: cut short: {len(content)} bytes")
    found, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
    if found != magic:
        raise CatalogError(f"{path}: not of Fashion-MNIST: begins with the number {found}, expected {magic}")
    size = int(np.prod([int(length) for length in shape], dtype=object))
    if size == 0 or len(content) - header != size:
        raise CatalogError(f"{path}: its header tells of {size} bytes, and {len(content) - header} follow")
    return shape, np.frombuffer(content, dtype=np.uint8, offset=header)


def _read_bytes(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise CatalogError(f"{path}: cannot be read: {system_reason(error)}") from None
    if len(content) > _MOST_BYTES:
        raise CatalogError(f"{path}: not of Fashion-MNIST: has more than {_MOST_BYTES:,} bytes")
    return content


def _written(
    pictures: dict[str, NDArray[np.uint8]], classes: dict[str, NDArray[np.uint8]], *, folder: Path
) -> Iterator[tuple[str | int, ...]]:
    """The manifest's rows, each after its picture is written."""
    for split in _FILES:
        for number, (picture, class_id) in enumerate(zip(pictures[split], classes[split].tolist(), strict=True)):
            path = f"images/{split}/{number:05d}.png"
            encoded = io.BytesIO()
            Image.fromarray(picture).save(encoded, "PNG", compress_level=1)
            (folder / path).write_bytes(encoded.getbuffer())
            yield f"{split}/{number:05d}", path, CLASSES[class_id], class_id, CAPTIONS[class_id], split


def _write_manifest(manifest: Path, rows: Sequence[tuple[str | int, ...]]) -> Path:
    with whole_file(manifest) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows(rows)
    return manifest
