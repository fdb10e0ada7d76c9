"""Embedding of many images without gradients."""

# Shapes: N images, D features.

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from simtrain.catalog.store.reader import ImageReader, SourceImages, StoredImages
from simtrain.console import Console
from simtrain.data.datasets import CatalogImages, image_loader
from simtrain.data.samplers import Share
from simtrain.encoders.arithmetic import FLOAT32, Arithmetic, Precision, in_halves
from simtrain.encoders.base import Encoder
from simtrain.encoders.memory_format import memory_for_embedding
from simtrain.errors import CheckpointError, ConfigError
from simtrain.phrases import counted
from simtrain.training.ranks import rank, rank_count, sum_over_ranks

_COMPARED = 64  # images that are embedded in float32 too
_FAR = 0.98  # cosine with float32 below which an arithmetic is warned of


@dataclass(frozen=True, kw_only=True)
class EmbeddingSettings:
    """How images are loaded and embedded; no setting changes which images are embedded.

    Attributes:
        batch_size: Number of images embedded at once, 1 or more.
        workers: Number of loading processes; 0 loads in this process.
        device: Device that the encoder runs on.
        precision: Arithmetic of the network.
    """

    batch_size: int
    workers: int
    device: torch.device
    precision: Precision = "32"


def embed_images(
    encoder: Encoder, images: ImageReader, rows: Sequence[int], *, settings: EmbeddingSettings, console: Console
) -> Tensor:
    """Embed the images of catalogue rows in their order; several processes share them and all get the result.

    Where that is not in float32, a sample is embedded in float32 too, unless it was for this encoder before; how far
    the two agree is told, and is the encoder's `arithmetic` from then on.

    Args:
        encoder: Encoder; it is moved to the device and put in evaluation mode.
        images: Reader of the catalogue's images.
        rows: N catalogue rows to embed.
        settings: Batch size, loading processes and device.
        console: Shows how many batches are done.

    Returns:
        (N, D) float32 of unit length, or of length 0 where the encoder gives nothing else, on the CPU.

    Raises:
        CheckpointError: if the encoder gives NaN or infinity.
        CatalogError: for an image that cannot be read.
        ConfigError: if the batches do not fit the GPU's memory.
    """
    device = settings.device
    encoder = encoder.to(device).eval()
    dataset = CatalogImages(images=images, rows=rows, preprocessing=encoder.preprocessing)
    embeddings = torch.zeros(len(rows), encoder.embedding_size)
    share = Share(index=rank(), of=rank_count())
    loader = image_loader(
        dataset,
        batch_size=settings.batch_size,
        workers=settings.workers,
        pin_memory=device.type == "cuda",
        share=share,
    )
    try:
        with memory_for_embedding(encoder, device=device, halves=in_halves(settings.precision)):
            for batch in console.bar(loader, len(loader), "embedding images"):
                if len(batch.positions):
                    pixels = batch.to(device).pixels
                    found = encoder.embed_pixels(pixels, precision=settings.precision)
                    embeddings[batch.positions] = found.cpu()
                    _note_arithmetic(encoder, pixels, found, precision=settings.precision, console=console)
    except torch.OutOfMemoryError as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{reason}; set a smaller one", argument="batch_size") from error
    embeddings = sum_over_ranks(embeddings)
    try:
        _tell_lengths(embeddings, images, rows, console=console)
    except CheckpointError as error:
        if settings.precision == "16":  # numbers above 65504 are infinite there
            raise ConfigError(f"got 16: {error}; allowed: 32, bf16", argument="precision") from error
        raise
    return embeddings


def _note_arithmetic(
    encoder: Encoder, pixels: Tensor, embeddings: Tensor, *, precision: Precision, console: Console
) -> None:
    """Compare embeddings of the first images with those in float32, once."""
    if encoder.arithmetic.precision == precision:
        return
    if precision == "32":
        encoder.arithmetic = FLOAT32
        return
    exact, found = encoder.embed_pixels(pixels[:_COMPARED]), embeddings[:_COMPARED]
    lengths = exact.norm(dim=1) > 0
    cosines = (exact * found).sum(dim=1)[lengths]
    lowest = float(cosines.min()) if len(cosines) else 1.0
    encoder.arithmetic = Arithmetic(precision=precision, lowest_cosine=lowest, images=len(exact))
    console.line(f"{'warning: ' if lowest < _FAR else ''}{encoder.arithmetic}")


def _tell_lengths(embeddings: Tensor, images: ImageReader, rows: Sequence[int], *, console: Console) -> None:
    """Refuse embeddings that are no numbers; say of those without a length that they are similar to nothing."""
    lengths = embeddings.norm(dim=1)
    for bad, refused in ((~torch.isfinite(lengths), True), (lengths == 0, False)):
        if not bad.any():
            continue
        first = _image_name(images, rows[int(torch.nonzero(bad)[0])])
        count = f"{int(bad.sum())} of {counted(len(rows), 'image')}, such as {first}"
        if refused:
            raise CheckpointError(
                f"the encoder gives no numbers (NaN or infinity) for {count}: its weights are damaged, or too large"
            )
        console.line(f"warning: {count}, give an embedding of length 0 (a flat picture?) and are similar to nothing")


def _image_name(images: ImageReader, row: int) -> str:
    return str(images.paths[row]) if isinstance(images, SourceImages | StoredImages) else f"image {row}"


def inference_device(accelerator: str) -> torch.device:
    """The device that a kind of accelerator means here; `auto`: a GPU if there is one, of several torch's current one.

    Raises:
        ConfigError: for `gpu` where torch sees none.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise ConfigError("got 'gpu', but torch sees none here; allowed: auto, cpu", argument="accelerator")
    return torch.device("cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda")


def device_name(device: torch.device) -> str:
    """Description of a device for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"
