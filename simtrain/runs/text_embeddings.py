"""Embeddings of the training texts, computed once before training where the text tower is frozen."""

# Shapes: T different texts, D features.

import torch

from simtrain.builders.devices import run_device
from simtrain.config import RunConfig
from simtrain.console import Console
from simtrain.data.texts import CatalogTexts
from simtrain.encoders.base import Encoder
from simtrain.encoders.text import AlignedEncoder, LimitedTextEncoder
from simtrain.training.ranks import rank, rank_count, sum_over_ranks

_AT_ONCE = 256


def text_embeddings(
    config: RunConfig, encoder: Encoder, texts: CatalogTexts | None, *, console: Console
) -> torch.Tensor | None:
    """(T, D) unit vectors of the training texts, made by all processes together; None if the text model is trained."""
    if texts is None or not isinstance(encoder, AlignedEncoder) or encoder.trains_text:
        return None
    encoder.to(run_device(config)).eval()
    vectors = torch.zeros(len(texts.texts), encoder.embedding_size)
    starts = range(0, len(texts.texts), _AT_ONCE)[rank() :: rank_count()]
    for start in console.bar(starts, len(starts), "embedding texts"):
        part = texts.texts[start : start + _AT_ONCE]
        vectors[start : start + len(part)] = encoder.embed_texts(part).cpu()
    return sum_over_ranks(vectors)


def truncation_line(encoder: Encoder, texts: CatalogTexts | None) -> str | None:
    """Message about training texts that are truncated; None if none is."""
    if texts is None or not isinstance(encoder, LimitedTextEncoder):
        return None
    cut = encoder.truncated(list(texts.texts))
    if not cut:
        return None
    longest = texts.texts[cut[0]]
    return (
        f"warning: {len(cut)} of {len(texts.texts)} different texts are longer than the {encoder.longest_text} tokens "
        f"that the encoder reads and are truncated ('{longest[:40]} ...')"
    )
