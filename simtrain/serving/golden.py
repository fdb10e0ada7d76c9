"""Golden images, golden texts and their embeddings: a check that an encoder still gives the same embeddings."""

# Shapes: S = image_size, D dimensions of the embedding; 4 golden images, 4 golden texts.

import copy
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from simtrain.encoders.base import Encoder
from simtrain.encoders.preprocessing import Preprocessing
from simtrain.encoders.text import TextEncoder
from simtrain.errors import BundleError
from simtrain.files import sha256_of_bytes

_LEAST_COSINE = 0.9999
_LARGEST_DIFFERENCE = 1e-3
_TEXTS = ("a photo of a red mug", "Women's shoes, black - size 38", "یک لیوان قرمز", "a chair " * 60)
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


def reference_copy(encoder: Encoder) -> Encoder:
    """Copy an encoder to what a bundle keeps of it: float32, on the CPU, evaluating."""
    return copy.deepcopy(encoder).float().cpu().eval()


def write_golden(path: Path, encoder: Encoder) -> None:
    """Save the golden images and what the encoder makes of them, as `images` and `embeddings`.

    Of an encoder that reads texts also `text_embeddings` of `texts`, which is JSON in UTF-8.
    """
    images = torch.from_numpy(golden_images(encoder.preprocessing.image_size))
    golden = {"images": images, "embeddings": encoder.embed_pixels(images)}
    if isinstance(encoder, TextEncoder):
        written = torch.tensor(list(json.dumps(_TEXTS).encode()), dtype=torch.uint8)
        golden |= {"texts": written, "text_embeddings": encoder.embed_texts(_TEXTS).cpu()}
    write_tensors(path, golden)


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Save tensors that are on the CPU by name, as safetensors."""
    # safetensors' own writer makes files that nobody but their owner can read; a bundle is there to be passed on.
    path.write_bytes(save({name: value.contiguous() for name, value in tensors.items()}))


def check_golden(path: Path, encoder: Encoder, *, content: bytes, device: torch.device) -> None:
    """Embed the golden images, and the golden texts where there are any, again.

    Args:
        path: File that `write_golden` wrote, for messages.
        encoder: Encoder on `device`, in evaluation mode.
        content: Of that file.
        device: Device to compute on.

    Raises:
        BundleError: if an embedding is not what it was: cosine below 0.9999 or a number off by more than 1e-3.
    """
    try:
        golden = load(content)
        images, expected = golden["images"], golden["embeddings"]
        texts = json.loads(bytes(golden["texts"].tolist())) if "texts" in golden else []
        expected_of_texts = golden["text_embeddings"] if texts else None
    except (SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        raise BundleError(f"{path}: not golden embeddings: {error}") from None
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise BundleError(f"{path}: not golden embeddings: images are {images.dtype} of shape {tuple(images.shape)}")
    _compare(path, encoder.embed_pixels(images.to(device)).cpu(), expected, what="images")
    if expected_of_texts is not None:
        if not isinstance(encoder, TextEncoder):
            raise BundleError(f"{path}: the bundle's encoder reads texts, the re-created one does not")
        _compare(path, encoder.embed_texts(texts).cpu(), expected_of_texts, what="texts")


def space_fingerprint(
    preprocessing: Preprocessing, *, weights_sha256: str, golden_sha256: str, whitening_sha256: str | None
) -> str:
    """Name of an embedding space, as 64 hexadecimal digits: equal only for equal preparation, weights and results."""
    parts = {"golden": golden_sha256, "preprocessing": preprocessing.to_dict(), "weights": weights_sha256}
    if whitening_sha256 is not None:
        parts["whitening"] = whitening_sha256
    return sha256_of_bytes(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode())


def _compare(path: Path, found: Tensor, expected: Tensor, *, what: str) -> None:
    if found.shape != expected.shape:
        raise BundleError(
            f"{path}: the re-created encoder gives embeddings of {tuple(found.shape)}; the bundle's are "
            f"{tuple(expected.shape)}"
        )
    cosine = float((found * expected).sum(dim=1).min())
    difference = float((found - expected).abs().max())
    if not (cosine >= _LEAST_COSINE and difference <= _LARGEST_DIFFERENCE):  # so that NaN fails
        raise BundleError(
            f"{path.parent}: this environment does not give the bundle's embeddings: golden {what} have cosine "
            f"{cosine:.4f} (allowed: {_LEAST_COSINE} or more) and differ by up to {difference:.2g} (allowed: "
            f"{_LARGEST_DIFFERENCE:g}); compare the library versions in manifest.json"
        )
