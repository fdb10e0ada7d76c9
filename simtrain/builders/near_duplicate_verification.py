"""Verification of near duplicates by an encoder."""

from collections.abc import Sequence
from pathlib import Path

from simtrain.builders.encoder import build_encoder
from simtrain.catalog.inspection.duplicates import Pair
from simtrain.catalog.store.reader import SourceImages
from simtrain.config import EncoderConfig
from simtrain.console import Console
from simtrain.data.datasets import worker_count
from simtrain.data.embedding import EmbeddingSettings, embed_images, inference_device
from simtrain.errors import error_path

_BATCH_SIZE = 64


def confirmed_pairs(
    pairs: Sequence[Pair],
    paths: Sequence[Path],
    *,
    encoder: EncoderConfig,
    similarity: float,
    console: Console,
) -> list[Pair]:
    """The pairs whose embeddings have a cosine of `similarity` or more, which takes the place of theirs.

    Args:
        pairs: Candidate pairs, as rows of `paths`.
        paths: Image files.
        encoder: Configuration of the encoder.
        similarity: Lowest cosine similarity of a near duplicate, above 0 to 1.
        console: Shows how far the embedding is.
    """
    rows = sorted({row for one, other, _, _ in pairs for row in (one, other)})
    place = {row: position for position, row in enumerate(rows)}
    with error_path("near_duplicates.encoder"):
        confirming = build_encoder(encoder, load=True)
    embeddings = embed_images(
        confirming,
        SourceImages(paths=list(paths)),
        rows,
        settings=EmbeddingSettings(
            batch_size=_BATCH_SIZE, workers=worker_count(None, sharing=1), device=inference_device("auto")
        ),
        console=console,
    )
    confirmed = []
    for one, other, _, mirrored in pairs:
        cosine = float(embeddings[place[one]] @ embeddings[place[other]])
        if cosine >= similarity:
            confirmed.append((one, other, cosine, mirrored))
    return confirmed
