"""Golden images, golden texts and their embeddings: a check that an encoder still gives the same embeddings."""

# Shapes: S = image_size, D dimensions of the embedding; 4 golden images, 4 golden texts.

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from simtrain.encoders.preprocessing import Preprocessing
from simtrain.errors import BundleError
from simtrain.files import sha256_of_bytes
from simtrain.serving.query_encoder import QueryEncoder

_LEAST_COSINE = 0.9999
_LARGEST_DIFFERENCE = 1e-3
GOLDEN_TEXTS = ("a photo of a red mug", "Women's shoes, black - size 38", "یک لیوان قرمز", "a chair " * 60)
"""Words, case and punctuation, another script, and more than any tower reads."""


def golden_images(image_size: int) -> NDArray[np.uint8]:
    """(4, S, S, 3) RGB made by formula: a colour gradient, a checkerboard, discs on white, and stripes."""
    side = np.arange(image_size, dtype=np.int64)
    down, across = np.meshgrid(side, side, indexing="ij")
    last = max(image_size - 1, 1)
    gradient = np.stack([255 * across // last, 255 * down // last, 255 * (2 * last - across - down) // (2 * last)], -1)
    cell = max(image_size // 8, 1)
    dark = ((down // cell + across // cell) % 2 == 0)[..., None]
    checkerboard = np.where(dark, np.array([32, 64, 160]), np.array([240, 224, 96]))
    discs = np.full((image_size, image_size, 3), 255)
    for place, colour in ((3, (200, 30, 40)), (5, (30, 150, 60)), (7, (40, 60, 200))):
        centre = place * image_size // 10
        inside = (10 * (down - centre)) ** 2 + (10 * (across - (image_size - centre))) ** 2 <= (2 * image_size) ** 2
        discs[inside] = colour
    phase = (3 * across + 2 * down) % (2 * cell + 1)
    stripes = np.stack([255 * phase // (2 * cell), 128 + 0 * phase, 255 - 255 * phase // (2 * cell)], -1)
    return np.stack([gradient, checkerboard, discs, stripes]).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class Golden:
    """Golden images and texts, and what the bundle's encoder made of them.

    Attributes:
        path: File that they are from, for messages.
        images: (4, S, S, 3) uint8.
        embeddings: (4, D) of the images.
        texts: The texts; empty where the encoder reads none.
        text_embeddings: (4, D) of the texts; None where there are none.
    """

    path: Path
    images: NDArray[np.uint8]
    embeddings: NDArray[np.float32]
    texts: list[str]
    text_embeddings: NDArray[np.float32] | None


def read_golden(path: Path, *, content: bytes) -> Golden:
    """What a bundle says of its golden images and texts.

    Args:
        path: File that `write_golden` wrote, for messages.
        content: Of that file.

    Raises:
        BundleError: for a file that holds something else.
    """
    try:
        found: dict[str, NDArray[Any]] = load(content)
        images, embeddings = found["images"], found["embeddings"]
        texts = json.loads(bytes(found["texts"].tolist())) if "texts" in found else []
        text_embeddings = found["text_embeddings"] if texts else None
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise BundleError(f"{path}: not golden embeddings: {error}") from None
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or not images.size:
        raise BundleError(f"{path}: not golden embeddings: images are {images.dtype} of shape {images.shape}")
    return Golden(path=path, images=images, embeddings=embeddings, texts=texts, text_embeddings=text_embeddings)


def check_golden_images(golden: Golden, encoder: QueryEncoder) -> None:
    """Embed the golden images again.

    Raises:
        BundleError: if an embedding is not what it was: cosine below 0.9999 or a number off by more than 1e-3.
    """
    _compare(golden.path, encoder.embed_pixels(golden.images), golden.embeddings, what="images")


def check_golden_texts(golden: Golden, encoder: QueryEncoder) -> None:
    """Embed the golden texts again, of a bundle whose encoder reads texts.

    Raises:
        BundleError: as `check_golden_images`, and if the encoder reads none.
    """
    assert golden.text_embeddings is not None
    if encoder.no_texts is not None:
        raise BundleError(f"{golden.path}: the bundle's encoder reads texts, the re-created one does not")
    _compare(golden.path, encoder.embed_texts(golden.texts), golden.text_embeddings, what="texts")


def check_golden(golden: Golden, encoder: QueryEncoder) -> None:
    """Embed the golden images, and the golden texts where there are any, again.

    Raises:
        BundleError: as `check_golden_images` and `check_golden_texts`.
    """
    check_golden_images(golden, encoder)
    if golden.text_embeddings is not None:
        check_golden_texts(golden, encoder)


def space_fingerprint(
    preprocessing: Preprocessing, *, weights_sha256: str, golden_sha256: str, whitening_sha256: str | None
) -> str:
    """Name of an embedding space, as 64 hexadecimal digits: equal only for equal preparation, weights and results."""
    parts = {"golden": golden_sha256, "preprocessing": preprocessing.to_dict(), "weights": weights_sha256}
    if whitening_sha256 is not None:
        parts["whitening"] = whitening_sha256
    return sha256_of_bytes(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode())


def _compare(path: Path, found: NDArray[np.float32], expected: NDArray[np.float32], *, what: str) -> None:
    if found.shape != expected.shape:
        raise BundleError(
            f"{path}: the re-created encoder gives embeddings of {found.shape}; the bundle's are {expected.shape}"
        )
    cosine = float((found * expected).sum(axis=1).min())
    difference = float(np.abs(found - expected).max())
    if not (cosine >= _LEAST_COSINE and difference <= _LARGEST_DIFFERENCE):  # so that NaN fails
        raise BundleError(
            f"{path.parent}: this environment does not give the bundle's embeddings: golden {what} have cosine "
            f"{cosine:.4f} (allowed: {_LEAST_COSINE} or more) and differ by up to {difference:.2g} (allowed: "
            f"{_LARGEST_DIFFERENCE:g}); compare the library versions in manifest.json"
        )
