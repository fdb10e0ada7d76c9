"""Verification of a written bundle: items are embedded and searched again."""

# Shapes: N items, D dimensions of the embedding, R rows that are looked at.

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from simtrain.encoders.arithmetic import FLOAT32, Arithmetic
from simtrain.encoders.base import Encoder
from simtrain.errors import BundleError
from simtrain.serving.bundle import Bundle
from simtrain.serving.export_format import ExportedEncoder, ExportFormat, check_equal
from simtrain.serving.export_formats import FORMATS
from simtrain.serving.onnx_query_encoder import has_text_onnx, onnx_text_encoder
from simtrain.serving.onnx_runtime import RUNTIME, TEXT_ONNX_FILE
from simtrain.serving.query_encoder import embed_decoded_images
from simtrain.serving.recreated_encoder import NetworkFactory
from simtrain.serving.torch_query_encoder import TorchQueryEncoder

VECTOR_TOLERANCE = 1e-5
"""Largest difference of two embeddings of one image, in any of their numbers, that rounding explains."""

HALF_TOLERANCE = 5e-4
"""The same, where one is kept as float16: of float16 below 1, and the above."""

_TIE_TOLERANCE = 1e-6
_BATCH_SIZE = 16
_APPROXIMATE_DEPTH = 10


def least_cosine(lowest: float) -> float:
    """Lowest cosine with float32 that is allowed where a sample's lowest was `lowest`: of halves, and of float16."""
    return 1 - 2 * (1 - lowest) - HALF_TOLERANCE


def verify_bundle(
    folder: Path,
    *,
    images: Callable[[int], NDArray[np.uint8]],
    network_factory: NetworkFactory,
    rows: int,
    device: torch.device,
) -> None:
    """Open a bundle again, embed some of its items again, and find them in its index and its exported files.

    Every stored vector must be what the re-created encoder gives in float32 (within 1e-5; of float16 within 5e-4; one
    that was made in another arithmetic within twice the angle that its export has measured). In an exact index every
    item must find itself, or an equal one, first; in an approximate one, whose recall the manifest states, and where
    vectors are not of float32, most items must find themselves among the ten nearest.

    Args:
        folder: The bundle's folder.
        images: Row of the bundle's items -> decoded image, (H, W, 3) RGB.
        network_factory: Builder of the network without weights, as `Bundle.load_encoder` takes it.
        rows: Number of items to check, evenly spread, all of them if there are fewer; >= 1.
        device: Device to embed on.

    Raises:
        BundleError: naming the first check that fails.
        ValueError: rows < 1.
    """
    if rows < 1:
        raise ValueError(f"rows is {rows}; allowed: 1 or more")
    bundle = Bundle.open(folder)
    encoder = bundle.load_encoder(network_factory).to(device)
    exported = [
        (each, each.open(folder / each.file))
        for each in FORMATS
        if each.open is not None and each.file in bundle.manifest["files"] and each.available()
    ]
    if has_text_onnx(bundle):
        _check_texts(bundle)
    chosen = np.unique(np.linspace(0, bundle.index.count - 1, rows).astype(np.int64))
    arithmetic = Arithmetic.from_dict(bundle.manifest.get("embedding") or {})
    strict = bundle.index.is_exact and arithmetic == FLOAT32
    found_themselves = 0
    for start in range(0, len(chosen), _BATCH_SIZE):
        batch = chosen[start : start + _BATCH_SIZE]
        pictures = [images(int(row)) for row in batch]
        embeddings = embed_decoded_images(TorchQueryEncoder(encoder=encoder, device=device), pictures)
        if bundle.index.keeps_vectors:
            _check_vectors(bundle, batch, embeddings, arithmetic=arithmetic)
        if strict:
            _check_first(bundle, batch, embeddings)
        else:
            answers = bundle.index.search(embeddings, k=_APPROXIMATE_DEPTH)
            found_themselves += sum(int(row in near) for row, (near, _) in zip(batch, answers, strict=True))
        for form, opened in exported:
            _check_exported(form, opened, encoder, pictures=pictures, embeddings=embeddings)
    if not strict and 2 * found_themselves < len(chosen):
        raise BundleError(
            f"{folder}: only {found_themselves} of {len(chosen)} items find themselves among the {_APPROXIMATE_DEPTH} "
            f"nearest; the index '{bundle.index.factory}' is too approximate; Flat is exact"
        )


def _check_vectors(
    bundle: Bundle, rows: NDArray[np.int64], embeddings: NDArray[np.float32], *, arithmetic: Arithmetic
) -> None:
    vectors = bundle.index.vectors(rows)
    if arithmetic.lowest_cosine is not None:
        cosines, least = (vectors * embeddings).sum(axis=1), least_cosine(arithmetic.lowest_cosine)
        lowest = int(cosines.argmin())
        if not (cosines[lowest] >= least or not embeddings[lowest].any()):
            raise BundleError(
                f"{bundle.folder}: the index's vector of '{_id(bundle, rows[lowest])}' was made in "
                f"{arithmetic.precision}, and its cosine with what the encoder makes of its image in float32 is "
                f"{cosines[lowest]:.4f} (allowed: {least:.4f} or more); embed the items in float32"
            )
        return
    differences = np.abs(vectors - embeddings).max(axis=1)
    worst = int(differences.argmax())
    allowed = HALF_TOLERANCE if bundle.index.stores_halves else VECTOR_TOLERANCE
    if not differences[worst] <= allowed:
        raise BundleError(
            f"{bundle.folder}: the index's vector of '{_id(bundle, rows[worst])}' is not what the encoder makes of its "
            f"image: they differ by {differences[worst]:.2g} (allowed: {allowed:g}); embed the items with "
            "the encoder and the preprocessing that are exported"
        )


def _check_first(bundle: Bundle, rows: NDArray[np.int64], embeddings: NDArray[np.float32]) -> None:
    own = (bundle.index.vectors(rows) * embeddings).sum(axis=1)
    for row, similarity, (near, similarities) in zip(rows, own, bundle.index.search(embeddings, k=1), strict=True):
        if near[0] != row and similarities[0] > similarity + _TIE_TOLERANCE:
            raise BundleError(
                f"{bundle.folder}: '{_id(bundle, row)}' finds '{_id(bundle, near[0])}' ({similarities[0]:.6f}) before "
                f"itself ({similarity:.6f})"
            )


def _check_exported(
    form: ExportFormat,
    opened: ExportedEncoder,
    encoder: Encoder,
    *,
    pictures: list[NDArray[np.uint8]],
    embeddings: NDArray[np.float32],
) -> None:
    pixels = torch.from_numpy(np.stack([encoder.preprocessing.pixels(picture) for picture in pictures]))
    found = opened.embed(encoder.preprocessing.normalise(pixels).numpy())
    check_equal(embeddings, found, name=form.file, runtime=form.runtime)


def _check_texts(bundle: Bundle) -> None:
    golden = bundle.golden
    if golden.text_embeddings is None:
        raise BundleError(f"{bundle.folder / TEXT_ONNX_FILE}: of another bundle: this one's encoder embeds no texts")
    found = onnx_text_encoder(bundle).embed_texts(golden.texts)
    check_equal(golden.text_embeddings, found, name=TEXT_ONNX_FILE, runtime=RUNTIME)


def _id(bundle: Bundle, row: int | np.int64) -> str:
    return str(bundle.items["id"].iat[int(row)])
