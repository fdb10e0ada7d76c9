"""An encoder as a bundle keeps it: weights, description, golden embeddings, and the name of its space."""

import json
import tempfile
from pathlib import Path
from typing import Any

from simtrain.encoders.base import Encoder
from simtrain.encoders.text import FolderEncoder, TextFolderEncoder, TokenizedTextEncoder
from simtrain.files import sha256_of_file
from simtrain.serving.bundle import (
    ENCODER_FILE,
    ENCODER_FOLDER,
    GOLDEN_FILE,
    TEXT_FOLDER,
    WEIGHTS_FILE,
    WHITENING_FILE,
)
from simtrain.serving.golden import space_fingerprint
from simtrain.serving.golden_writer import reference_copy, write_golden, write_tensors


def encoder_fingerprint(encoder: Encoder, config: dict[str, Any]) -> str:
    """Name of the embedding space of a bundle that an encoder is written to.

    Args:
        encoder: The encoder, in any mode and on any device.
        config: Its section of the run's configuration, as in `BundleContent`.
    """
    with tempfile.TemporaryDirectory() as folder:
        return write_space(Path(folder), reference_copy(encoder), config=config)[1]


def write_space(folder: Path, encoder: Encoder, *, config: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Write an encoder with its golden embeddings.

    Args:
        folder: An unfinished bundle.
        encoder: As `reference_copy` makes it.
        config: Its section of the run's configuration, as in `BundleContent`.

    Returns:
        What the manifest says about it, and the fingerprint of its space.
    """
    description = _write_encoder(folder, encoder, config=config)
    write_golden(folder / GOLDEN_FILE, encoder)
    whitening = folder / WHITENING_FILE
    fingerprint = space_fingerprint(
        encoder.preprocessing,
        weights_sha256=sha256_of_file(folder / WEIGHTS_FILE),
        golden_sha256=sha256_of_file(folder / GOLDEN_FILE),
        whitening_sha256=sha256_of_file(whitening) if whitening.exists() else None,
    )
    return description, fingerprint


def _write_encoder(folder: Path, encoder: Encoder, *, config: dict[str, Any]) -> dict[str, Any]:
    """Weights, description and a text tower of its own; what the manifest says about them."""
    description = {"kind": config["kind"], "embedding_size": encoder.embedding_size, "config": config}
    if isinstance(encoder, FolderEncoder):
        description["own_folder"] = True
        encoder.save_folder(folder / ENCODER_FOLDER)
    else:
        (folder / ENCODER_FOLDER).mkdir()
        write_tensors(folder / WEIGHTS_FILE, encoder.state_dict())
    if isinstance(encoder, TextFolderEncoder) and encoder.has_text_folder:
        description["text_folder"] = True
        encoder.save_text_folder(folder / TEXT_FOLDER)
    if isinstance(encoder, TokenizedTextEncoder) and encoder.text_prompt:
        description["text_prompt"] = encoder.text_prompt
    if encoder.whitening is not None:
        description["whitened"] = True
        encoder.whitening.save(folder / WHITENING_FILE, note={})
    text = json.dumps({**description, "preprocessing": encoder.preprocessing.to_dict()}, indent=2)
    (folder / ENCODER_FILE).write_text(text + "\n", encoding="utf-8")
    return description
